//! Java's property files.
//!
//! Source: the documentation of `java.util.Properties.load`. A line is `key=value`, `key:value` or
//! `key value`; blanks before the key and around the mark are passed over. A line that begins with
//! `#` or `!` is a comment. A line that ends with an odd number of backslashes goes on in the next
//! one, whose blanks at the beginning do not count. `\t`, `\n`, `\r`, `\f` and `\uXXXX` are
//! escapes; any other character after a backslash stands for itself. The last of several values of
//! a key holds. Bytes are read as UTF-8.

/// A property with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
    /// The line on which it begins, from 1; 0 if it is from the command line.
    pub line: usize,
}

/// A line that is no property.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: `\\u` needs four hexadecimal digits")]
pub struct BadEscape {
    /// The line.
    pub line: usize,
}

/// Reads the properties of `text`, in order.
///
/// # Errors
/// [`BadEscape`] with the line.
pub fn parse(text: &str) -> Result<Vec<Property>, BadEscape> {
    let mut properties = Vec::new();
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines = text.split('\n').enumerate();
    while let Some((at, first)) = lines.next() {
        let line = at + 1;
        let first = first.trim_start_matches(is_blank);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = first.to_owned();
        while is_continued(&logical) {
            logical.pop();
            let Some((_, next)) = lines.next() else {
                break;
            };
            logical += next.trim_start_matches(is_blank);
        }
        let (key, value) = split(&logical);
        let unescaped = |text| unescape(text).ok_or(BadEscape { line });
        properties.push(Property {
            key: unescaped(key)?,
            value: unescaped(value)?,
            line,
        });
    }
    Ok(properties)
}

fn is_blank(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\u{c}')
}

/// Whether a line ends with an odd number of backslashes.
fn is_continued(line: &str) -> bool {
    let slashes = line.bytes().rev().take_while(|byte| *byte == b'\\').count();
    slashes % 2 == 1
}

/// A line at the first mark that no backslash is before.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|letter: char| {
        let ends = !escaped && (is_blank(letter) || matches!(letter, '=' | ':'));
        escaped = letter == '\\' && !escaped;
        ends
    });
    let (key, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start_matches(is_blank);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, value.trim_start_matches(is_blank))
}

/// What a text with backslashes means; `None` if a `\u` has no four digits.
fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            plain.push(letter);
            continue;
        }
        match letters.next() {
            Some('t') => plain.push('\t'),
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('f') => plain.push('\u{c}'),
            Some('u') => {
                let digits: String = letters.by_ref().take(4).collect();
                let is_hex = digits.len() == 4 && digits.bytes().all(|it| it.is_ascii_hexdigit());
                let code = u32::from_str_radix(&digits, 16).ok().filter(|_| is_hex)?;
                // Half of a pair of surrogates is no letter.
                plain.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            other => plain.extend(other),
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_read_as_java_reads_them() {
        let text = "# a comment\n! another\n\nplain=1\n  spaced  :  two words \ncolon:3\r\n\
                    blank 4\n\
                    long = a\\\n    b\\\n\tc\neven=\\\\\nkey\\ with\\:marks = x\n\
                    escapes=\\t\\u0041\\q\n\
                    empty\nplain=5\nurl=http://h:1/?a=b";
        let read = parse(text).unwrap();
        let pairs: Vec<(&str, &str)> = read.iter().map(|it| (&*it.key, &*it.value)).collect();
        assert_eq!(
            pairs,
            [
                ("plain", "1"),
                ("spaced", "two words "),
                ("colon", "3"),
                ("blank", "4"),
                ("long", "abc"),
                ("even", "\\"),
                ("key with:marks", "x"),
                ("escapes", "\tAq"),
                ("empty", ""),
                ("plain", "5"),
                ("url", "http://h:1/?a=b"),
            ]
        );
        let lines: Vec<usize> = read.iter().map(|it| it.line).collect();
        assert_eq!(lines, [4, 5, 6, 7, 8, 11, 12, 13, 14, 15, 16]);
        assert_eq!(parse("a=1\nb=\\u00g0"), Err(BadEscape { line: 2 }));
    }
}
