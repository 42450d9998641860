//! Many strings in one buffer.

use std::fmt;

/// Strings of bytes, one after the other in one buffer.
///
/// ```
/// use aura_workloads::keyset::StringKeys;
///
/// let mut keys = StringKeys::default();
/// keys.push(b"user1");
/// keys.push(b"user22");
/// assert_eq!(keys.get(1), b"user22");
/// assert_eq!(keys.total_bytes(), 11);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StringKeys {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl StringKeys {
    /// Adds a string at the end.
    pub fn push(&mut self, key: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len());
    }

    /// The string at a position. Panics past the end, like a slice.
    pub fn get(&self, place: usize) -> &[u8] {
        let start = if place == 0 { 0 } else { self.ends[place - 1] };
        &self.bytes[start..self.ends[place]]
    }

    /// How many strings there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no strings.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The strings, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|place| self.get(place))
    }

    /// Bytes of all strings together.
    pub fn total_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The strings in order and each once; `sorted` means that they are in order already.
    pub(super) fn into_sorted_distinct(self, sorted: bool) -> Self {
        let mut order: Vec<usize> = (0..self.len()).collect();
        if !sorted {
            order.sort_unstable_by(|one, other| self.get(*one).cmp(self.get(*other)));
        }
        let mut keys = Self {
            bytes: Vec::with_capacity(self.bytes.len()),
            ends: Vec::with_capacity(self.ends.len()),
        };
        for place in order {
            let key = self.get(place);
            if keys.is_empty() || keys.get(keys.len() - 1) != key {
                keys.push(key);
            }
        }
        keys
    }
}

impl<'a> FromIterator<&'a [u8]> for StringKeys {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(strings: I) -> Self {
        let mut keys = Self::default();
        strings.into_iter().for_each(|key| keys.push(key));
        keys
    }
}

impl fmt::Debug for StringKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|key| key.escape_ascii().to_string()))
            .finish()
    }
}
