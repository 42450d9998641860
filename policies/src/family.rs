//! A family: one question, and the policies that answer it.
//!
//! A family's `mod.rs` lists the policies of this crate in one visible slice. A program may add
//! policies of its own at start-up ([`Family::register`]). Configs, error messages, listings and
//! the law tests read both through [`Family::entries`].

use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use serde::Serialize;

use crate::entry::{Entry, ParamDoc};
use crate::error::{PolicyError, RegisterError};
use crate::spec::PolicySpec;

/// A question and the policies that answer it. `B` is how the family's policies are built.
///
/// ```
/// use aura_policies::{PolicySpec, cache};
///
/// assert_eq!(cache::FAMILY.question, "who leaves the cache?");
/// assert!(cache::FAMILY.entries().iter().any(|entry| entry.name == "sieve"));
///
/// let entry = cache::FAMILY.find(&PolicySpec::named("lru"))?;
/// let capacity_bytes = 1 << 20;
/// let seed = 7;
/// let policy = (entry.build)(capacity_bytes, seed, &PolicySpec::named("lru"))?;
/// assert_eq!(policy.audit(&[]), Ok(()));
/// # Ok::<(), aura_policies::PolicyError>(())
/// ```
pub struct Family<B: 'static> {
    /// The family's name, such as `cache`.
    pub name: &'static str,
    /// The question its policies answer.
    pub question: &'static str,
    /// The policy used where a config names none.
    pub default: &'static str,
    /// The policies of this crate, sorted by name.
    pub(crate) built_in: &'static [&'static Entry<B>],
    /// Builds the policy of a spec and drops it. Capacity and seed, where a builder takes them, are
    /// values that every policy accepts.
    pub(crate) probe: fn(&B, &PolicySpec) -> Result<(), PolicyError>,
    /// The policies added at start-up.
    pub(crate) registered: Registered<B>,
}

/// The names that a family knows beside those of its own policies.
pub(crate) struct Registered<B: 'static> {
    /// The entries that [`Family::register`] has added, in the order of their registration.
    entries: RwLock<Vec<&'static Entry<B>>>,
    /// Further names of policies of this crate: each alias with the policy's own name.
    aliases: &'static [(&'static str, &'static str)],
}

impl<B> Registered<B> {
    /// No names.
    pub(crate) const fn new() -> Self {
        Self::with_aliases(&[])
    }

    /// Aliases, each with the policy that it names.
    pub(crate) const fn with_aliases(aliases: &'static [(&'static str, &'static str)]) -> Self {
        let entries = RwLock::new(Vec::new());
        Self { entries, aliases }
    }

    fn read(&self) -> RwLockReadGuard<'_, Vec<&'static Entry<B>>> {
        let entries = self.entries.read();
        entries.unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B> Family<B> {
    /// All policies, those registered at start-up included, sorted by name.
    pub fn entries(&self) -> Vec<&'static Entry<B>> {
        let mut entries = self.built_in.to_vec();
        entries.extend(self.registered.read().iter());
        entries.sort_by_key(|entry| entry.name);
        entries
    }

    /// The names of all policies, sorted.
    pub fn names(&self) -> Vec<&'static str> {
        self.entries().iter().map(|entry| entry.name).collect()
    }

    /// Names that policies have elsewhere, each with the policy's own name. Configs may use them,
    /// listings do not show them.
    pub fn aliases(&self) -> &'static [(&'static str, &'static str)] {
        self.registered.aliases
    }

    /// The policy of that name, if there is one. An alias names its policy.
    pub fn get(&self, name: &str) -> Option<&'static Entry<B>> {
        let alias = self.aliases().iter().find(|(alias, _)| *alias == name);
        let name = alias.map_or(name, |(_, policy)| policy);
        let built_in = self.built_in.iter().find(|entry| entry.name == name);
        if let Some(entry) = built_in {
            return Some(entry);
        }
        let registered = self.registered.read();
        registered.iter().find(|entry| entry.name == name).copied()
    }

    /// The policy that `spec` names. Its parameters' names are checked, their values are not.
    ///
    /// ```
    /// use aura_policies::{PolicyError, PolicySpec, gc};
    ///
    /// let entry = gc::FAMILY.find(&PolicySpec::named("greedy"))?;
    /// assert_eq!(entry.name, "greedy");
    ///
    /// let Err(error) = gc::FAMILY.find(&PolicySpec::named("gredy")) else {
    ///     panic!("there is no such policy")
    /// };
    /// assert!(error.to_string().starts_with("unknown gc policy `gredy`; known: age-cutoff, "));
    /// # Ok::<(), PolicyError>(())
    /// ```
    ///
    /// # Errors
    /// [`PolicyError::UnknownPolicy`] or [`PolicyError::UnknownParameter`], each with the known
    /// names.
    pub fn find(&self, spec: &PolicySpec) -> Result<&'static Entry<B>, PolicyError> {
        let Some(entry) = self.get(&spec.policy) else {
            return Err(PolicyError::UnknownPolicy {
                family: self.name,
                policy: spec.policy.clone(),
                known: self.names(),
            });
        };
        let docs = (entry.params)();
        let known: Vec<String> = docs.into_iter().map(|param| param.name).collect();
        match spec.params.keys().find(|name| !known.contains(name)) {
            None => Ok(entry),
            Some(name) => Err(PolicyError::UnknownParameter {
                family: self.name,
                policy: entry.name,
                parameter: name.clone(),
                known,
            }),
        }
    }

    /// Adds a policy of another crate, for the rest of the program's life.
    ///
    /// Register before configs are read: in `main`, or at the start of a test. Listings are sorted
    /// by name, so that the order of registrations changes nothing.
    ///
    /// A whole policy, which evicts the object that entered last. It needs the crates `serde` and
    /// `schemars` only where it has parameters (see [`entry`](crate::entry)).
    ///
    /// ```
    /// use aura_policies::cache::{self, Access, Eviction, Removal, Slot, check_held};
    /// use aura_policies::entry::{Entry, NoParams, describe, params};
    /// use aura_policies::{PolicySpec, RegisterError};
    ///
    /// /// Last in, first out: a good policy for one loop over more objects than the cache holds.
    /// struct Lifo {
    ///     /// The slots held, the newest last.
    ///     stack: Vec<Slot>,
    /// }
    ///
    /// impl Eviction for Lifo {
    ///     fn victim(&mut self, _incoming: &Access) -> Slot {
    ///         *self.stack.last().expect("asked only when a slot is held")
    ///     }
    ///
    ///     fn on_insert(&mut self, slot: Slot, _incoming: &Access) {
    ///         self.stack.push(slot);
    ///     }
    ///
    ///     fn on_hit(&mut self, _slot: Slot) {}
    ///
    ///     fn on_remove(&mut self, slot: Slot, _why: Removal) {
    ///         self.stack.retain(|held| *held != slot);
    ///     }
    ///
    ///     fn metadata_bytes(&self) -> u64 {
    ///         (self.stack.capacity() * size_of::<Slot>()) as u64
    ///     }
    ///
    ///     fn audit(&self, held: &[Slot]) -> Result<(), String> {
    ///         check_held(self.stack.clone(), held)
    ///     }
    /// }
    ///
    /// static LIFO: Entry<cache::Build> = Entry {
    ///     name: "lifo",
    ///     about: "the object that entered last leaves first",
    ///     params: describe::<NoParams>,
    ///     build: |_capacity_bytes, _seed, spec| {
    ///         params::<NoParams>(spec)?;
    ///         Ok(Box::new(Lifo { stack: Vec::new() }))
    ///     },
    /// };
    ///
    /// cache::FAMILY.register(&LIFO)?;
    ///
    /// // From here on, configs may name it and listings show it.
    /// let policy = cache::build(&PolicySpec::named("lifo"), 1 << 20, 7)?;
    /// assert_eq!(policy.audit(&[]), Ok(()));
    /// let again = cache::FAMILY.register(&LIFO);
    /// assert!(matches!(again, Err(RegisterError::NameTaken { policy: "lifo", .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RegisterError`] if the name is taken or cannot be written in a config, or if the policy
    /// does not build with its default parameters.
    pub fn register(&self, entry: &'static Entry<B>) -> Result<(), RegisterError> {
        let family = self.name;
        let policy = entry.name;
        if !is_name(policy) {
            return Err(RegisterError::BadName { family, policy });
        }
        (self.probe)(&entry.build, &PolicySpec::named(policy)).map_err(|source| {
            RegisterError::BadDefaults {
                family,
                policy,
                source,
            }
        })?;
        let mut registered = self
            .registered
            .entries
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let mut known = self.built_in.iter().chain(registered.iter());
        let mut aliases = self.aliases().iter();
        if known.any(|other| other.name == policy) || aliases.any(|(alias, _)| *alias == policy) {
            return Err(RegisterError::NameTaken { family, policy });
        }
        registered.push(entry);
        Ok(())
    }

    /// The family as plain data, for listings.
    pub fn info(&self) -> FamilyInfo {
        let mut policies = Vec::new();
        for entry in self.entries() {
            policies.push(PolicyInfo {
                name: entry.name,
                about: entry.about,
                default: entry.name == self.default,
                params: (entry.params)(),
            });
        }
        FamilyInfo {
            name: self.name,
            question: self.question,
            policies,
        }
    }

    /// The family's default policy, with its default parameters.
    pub fn default_spec(&self) -> PolicySpec {
        PolicySpec::named(self.default)
    }
}

/// Whether configs and command lines can write `name` without quoting it.
fn is_name(name: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let starts_well = name.as_bytes().first().is_some_and(plain);
    starts_well && name.bytes().all(|byte| plain(&byte) || byte == b'-')
}

/// A family without the type of its builders: what configs and listings need to know of it.
///
/// [`FAMILIES`](crate::FAMILIES) lists them all.
///
/// ```
/// use aura_policies::{AnyFamily, PolicySpec, gc};
///
/// // What a config reader holds for the key `value_log.gc`.
/// let family: &dyn AnyFamily = &gc::FAMILY;
///
/// assert_eq!(family.check(&PolicySpec::named("greedy")), Ok(()));
/// assert!(family.check(&PolicySpec::named("gredy")).is_err());
/// assert!(family.check(&PolicySpec::named("greedy").with("garbage", 1.5)).is_err());
///
/// let complete = family.complete(&PolicySpec::named("greedy").with("garbage", 0.25))?;
/// assert_eq!(complete.to_string(), "greedy(garbage=0.25, urgent_garbage=0.1)");
/// # Ok::<(), aura_policies::PolicyError>(())
/// ```
pub trait AnyFamily: Sync {
    /// The family's name, such as `cache`.
    fn name(&self) -> &'static str;

    /// The family as plain data, for listings.
    fn info(&self) -> FamilyInfo;

    /// The family's default policy, with its default parameters.
    fn default_spec(&self) -> PolicySpec;

    /// Whether the family can build `spec`: it does build the policy once, and drops it.
    ///
    /// A policy that depends on a capacity may still refuse one that is too small for it.
    ///
    /// # Errors
    /// What [`Family::find`] reports, and [`PolicyError::BadParameter`] for a parameter that has
    /// the wrong type or lies outside its range.
    fn check(&self, spec: &PolicySpec) -> Result<(), PolicyError>;

    /// `spec` with every parameter that it leaves out set to its default, and with the policy's
    /// own name where it has an alias. Parameters whose default is null stay out. Values are not
    /// checked.
    ///
    /// # Errors
    /// What [`Family::find`] reports.
    fn complete(&self, spec: &PolicySpec) -> Result<PolicySpec, PolicyError>;
}

impl<B: Send + Sync> AnyFamily for Family<B> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn info(&self) -> FamilyInfo {
        self.info()
    }

    fn default_spec(&self) -> PolicySpec {
        self.default_spec()
    }

    fn check(&self, spec: &PolicySpec) -> Result<(), PolicyError> {
        let entry = self.find(spec)?;
        (self.probe)(&entry.build, spec)
    }

    fn complete(&self, spec: &PolicySpec) -> Result<PolicySpec, PolicyError> {
        let entry = self.find(spec)?;
        let mut complete = spec.clone();
        entry.name.clone_into(&mut complete.policy);
        for param in (entry.params)() {
            if !param.default.is_null() && !complete.params.contains_key(&param.name) {
                complete.params.insert(param.name, param.default);
            }
        }
        Ok(complete)
    }
}

/// A family as plain data.
#[derive(Clone, Debug, Serialize)]
pub struct FamilyInfo {
    /// The family's name.
    pub name: &'static str,
    /// The question its policies answer.
    pub question: &'static str,
    /// Its policies, sorted by name.
    pub policies: Vec<PolicyInfo>,
}

/// A policy as plain data.
#[derive(Clone, Debug, Serialize)]
pub struct PolicyInfo {
    /// The policy's name.
    pub name: &'static str,
    /// One line: the idea and its source.
    pub about: &'static str,
    /// Whether the family uses it where a config names none.
    pub default: bool,
    /// Its parameters, sorted by name.
    pub params: Vec<ParamDoc>,
}

/// The capacity with which caches are probed: every policy accepts it.
pub(crate) const PROBE_CAPACITY_BYTES: u64 = 1 << 20;

/// The seed with which policies are probed.
pub(crate) const PROBE_SEED: u64 = 0;
