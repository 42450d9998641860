//! CSV.

/// Writes a table as CSV (RFC 4180, with line feeds as line ends).
pub fn csv<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut text = String::new();
    write_line(&mut text, &header);
    for row in rows {
        write_line(&mut text, &row);
    }
    text
}

/// Adds one line.
pub(super) fn write_line(text: &mut String, fields: &[impl AsRef<str>]) {
    for (number, field) in fields.iter().enumerate() {
        if number > 0 {
            text.push(',');
        }
        text.push_str(&quoted(field.as_ref()));
    }
    text.push('\n');
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_quotes_what_needs_it() {
        let row = ["a,b".to_owned(), "say \"x\"".to_owned()];
        assert_eq!(
            csv(["one", "two"], [row]),
            "one,two\n\"a,b\",\"say \"\"x\"\"\"\n"
        );
    }
}
