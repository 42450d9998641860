//! Enums whose variants have a name, said once for tables, JSON, file names and the command line.

/// Declares an enum with `ALL`, `name` and `find`.
///
/// The name is also the variant's form in JSON, so the enum must derive `Serialize`.
macro_rules! named_enum {
    (
        $(#[$attribute:meta])*
        $visibility:vis enum $enum:ident {
            $($(#[$variant_attribute:meta])* $variant:ident = $name:literal,)+
        }
    ) => {
        $(#[$attribute])*
        $visibility enum $enum {
            $($(#[$variant_attribute])* #[serde(rename = $name)] $variant,)+
        }

        impl $enum {
            /// Every variant, in the order of tables and legends.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// The variant's name in tables, files and on the command line.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// Finds the variant called `name`.
            pub fn find(name: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|variant| variant.name() == name)
            }
        }
    };
}

pub(crate) use named_enum;
