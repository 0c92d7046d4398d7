//! Users and groups by name, as this machine's own files have them.
//! It must never ask a directory service: its answer can be late, or another's. A number stands for whoever is only there.

/// A user's number.
pub(super) fn user(name: &str) -> Result<u32, String> {
    number("owner", name, "/etc/passwd")
}

/// A group's number.
pub(super) fn group(name: &str) -> Result<u32, String> {
    number("group", name, "/etc/group")
}

fn number(setting: &str, name: &str, file: &str) -> Result<u32, String> {
    let Ok(number) = name.parse() else {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        return named(&text, name).ok_or_else(|| format!("{setting}: neither a number nor a name of {file}"));
    };
    Ok(number)
}

/// `name:password:number:…`, passwd(5) and group(5).
fn named(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_whole_one_and_a_number_is_itself() {
        let text = "root:x:0:0:root:/root:/bin/bash\napp:x:998:998::/:/bin/false\nbroken\n:x:5:\n";
        assert_eq!((named(text, "app"), named(text, "ap"), named(text, "broken")), (Some(998), None, None));
        assert_eq!((user("0"), user("root"), group("root")), (Ok(0), Ok(0), Ok(0)));
        let said = user("hunter2").unwrap_err();
        assert!(said.starts_with("owner: ") && !said.contains("hunter2"), "{said}");
    }
}
