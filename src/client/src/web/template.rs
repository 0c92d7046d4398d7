//! A call as it is declared: a method and a path with holes, such as `GET /orgs/{org}/installations`.
//! It must never let a value change the path it is put into, nor take a method that only ever writes for one of a read.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::{origin::Origin, says::Says};

/// Methods a read may have. POST is there for searches, look-ups and tokens; a connector names each of them.
const METHODS: [&str; 4] = ["GET", "HEAD", "LIST", "POST"];
/// Methods an act may have.
const ACTS: [&str; 4] = ["POST", "PUT", "PATCH", "DELETE"];
/// What stands in a segment as it is (RFC 3986, 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Signs of a declared path beside letters and digits.
const PLAIN: &str = "-._~:@!$&'()*+,;=";
/// Most segments of a path that is compared.
const SEGMENTS_MAX: usize = 128;

/// A declared read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    text: String,
    method: String,
    /// Where it is, if not at the provider's own origin.
    elsewhere: Option<Origin>,
    segments: Vec<Segment>,
    /// What it says that it does, where its path does not.
    says: Option<Says>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Plain(String),
    /// One segment's worth, with what stands before and after it in that segment.
    One {
        before: String,
        after: String,
    },
    /// One segment or more.
    Rest,
}

impl Template {
    /// Reads the declaration of a read.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Self::declared(text, ("read", METHODS))
    }

    /// Reads the declaration of an act.
    pub(crate) fn parse_act(text: &str) -> Result<Self, String> {
        Self::declared(text, ("act", ACTS))
    }

    fn declared(text: &str, (what, methods): (&str, [&str; 4])) -> Result<Self, String> {
        let wrong = |said: &str| format!("{text:?} declares no {what}: {said}");
        let (method, place) = text.split_once(' ').ok_or_else(|| wrong("expected a method and a path"))?;
        if !methods.contains(&method) {
            let [first, second, third, last] = methods;
            return Err(wrong(&format!("the method must be {first}, {second}, {third} or {last}")));
        }
        let (place, says) = match place.split_once(' ') {
            Some((place, says)) if method == "POST" => (place, Some(Says::parse(says).map_err(wrong)?)),
            _ => (place, None),
        };
        let (elsewhere, path) = match place.find("://") {
            None => (None, place),
            Some(scheme) => {
                let authority = place.get(scheme + 3..).unwrap_or_default();
                let ends = scheme + 3 + authority.find('/').ok_or_else(|| wrong("there is no path"))?;
                let (origin, path) = place.split_at_checked(ends).unwrap_or((place, ""));
                (Some(Origin::parse(origin).map_err(|said| wrong(&said))?.0), path)
            }
        };
        let path = path.strip_prefix('/').ok_or_else(|| wrong("the path must begin with /"))?;
        let pieces: Vec<&str> = path.split('/').collect();
        let last = pieces.len() - 1;
        let mut segments = Vec::new();
        for (at, piece) in pieces.into_iter().enumerate() {
            if piece.is_empty() && at != last {
                return Err(wrong("a segment is empty"));
            }
            segments.push(segment(piece).map_err(wrong)?);
        }
        if segments.iter().filter(|it| matches!(it, Segment::Rest)).count() > 2 {
            return Err(wrong("there are more than two holes for several segments"));
        }
        Ok(Self { text: text.to_owned(), method: method.to_owned(), elsewhere, segments, says })
    }

    /// As it was declared: the operation's name.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn method(&self) -> &str {
        &self.method
    }

    /// The origin it names itself.
    pub(crate) fn elsewhere(&self) -> Option<&Origin> {
        self.elsewhere.as_ref()
    }

    /// What it says that it does, beside where it goes.
    pub(super) fn says(&self) -> Option<&Says> {
        self.says.as_ref()
    }

    /// Whether it is a GraphQL endpoint, where the body and not the path says what is done.
    pub(crate) fn is_graphql(&self) -> bool {
        self.method == "POST" && matches!(self.segments.last(), Some(Segment::Plain(last)) if last == "graphql")
    }

    /// The path with the holes filled, each value once and in order.
    pub(crate) fn fill<V: AsRef<str>>(&self, values: &[V]) -> Result<String, &'static str> {
        let mut path = String::new();
        let mut values = values.iter();
        let last = self.segments.len().saturating_sub(1);
        for (at, segment) in self.segments.iter().enumerate() {
            path.push('/');
            match segment {
                Segment::Plain(text) => path.push_str(text),
                Segment::One { before, after } => {
                    let value = values.next().ok_or("a value for its path is missing")?.as_ref();
                    if !is_sound(value) {
                        return Err("a value for its path is empty or would change the path");
                    }
                    path.push_str(before);
                    path.extend(utf8_percent_encode(value, SEGMENT));
                    path.push_str(after);
                }
                Segment::Rest => {
                    let value = values.next().ok_or("a value for its path is missing")?.as_ref();
                    // Only at the end does a slash mean something; mounts are named with one.
                    let value = if at == last { value } else { value.strip_suffix('/').unwrap_or(value) };
                    path.push_str(&rest(value).ok_or("a value for its path is empty or would change the path")?);
                }
            }
        }
        if values.next().is_some() {
            return Err("there are more values than its path has room for");
        }
        Ok(path)
    }

    /// Whether a path, encoded as in a URL, is one that this read may ask for.
    pub(crate) fn fits(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix('/') else { return false };
        let pieces: Vec<&str> = path.split('/').collect();
        pieces.len() <= SEGMENTS_MAX && fit(&self.segments, &pieces)
    }
}

fn segment(piece: &str) -> Result<Segment, &'static str> {
    let plain = |text: &str| text.chars().all(|it| it.is_ascii_alphanumeric() || PLAIN.contains(it));
    let Some((before, hole)) = piece.split_once('{') else {
        return match piece {
            "." | ".." => Err("a segment is a dot"),
            _ if plain(piece) => Ok(Segment::Plain(piece.to_owned())),
            _ => Err("the path has signs that must be encoded, or a query"),
        };
    };
    let (name, after) = hole.split_once('}').ok_or("a { has no }")?;
    let (name, several) = name.strip_suffix("...").map_or((name, false), |name| (name, true));
    if name.is_empty() || !name.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '_' | '-')) {
        return Err("a hole has no name, or one with strange signs");
    }
    if !plain(before) || !plain(after) {
        return Err("a segment has two holes, or signs that must be encoded");
    }
    match several {
        true if before.is_empty() && after.is_empty() => Ok(Segment::Rest),
        true => Err("a hole for several segments must stand alone"),
        false => Ok(Segment::One { before: before.to_owned(), after: after.to_owned() }),
    }
}

/// Whether a value may fill a hole: not even a server that decodes it too early may find another directory in it.
fn is_sound(value: &str) -> bool {
    !value.is_empty()
        && !value.contains(char::is_control)
        && value.split(['/', '\\']).all(|piece| !matches!(piece, "." | ".."))
}

/// A value of several segments, encoded; one slash at its end stays.
fn rest(value: &str) -> Option<String> {
    let whole = value.strip_suffix('/').unwrap_or(value);
    let mut path = String::new();
    for piece in whole.split('/') {
        if !is_sound(piece) {
            return None;
        }
        if !path.is_empty() {
            path.push('/');
        }
        path.extend(utf8_percent_encode(piece, SEGMENT));
    }
    if whole.len() < value.len() {
        path.push('/');
    }
    Some(path)
}

fn fit(segments: &[Segment], pieces: &[&str]) -> bool {
    let Some((segment, others)) = segments.split_first() else { return pieces.is_empty() };
    let Some((piece, left)) = pieces.split_first() else { return false };
    match segment {
        Segment::Plain(text) => text == piece && fit(others, left),
        Segment::One { before, after } => fills(piece, before, after) && fit(others, left),
        Segment::Rest => {
            for (at, piece) in pieces.iter().enumerate() {
                // Only the last of all may be empty: a slash at the end.
                let ends_in_slash = piece.is_empty() && at > 0 && at + 1 == pieces.len();
                if !ends_in_slash && !fills(piece, "", "") {
                    return false;
                }
                if fit(others, pieces.get(at + 1..).unwrap_or_default()) {
                    return true;
                }
            }
            false
        }
    }
}

fn fills(piece: &str, before: &str, after: &str) -> bool {
    let value = piece.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    value.and_then(|value| percent_decode_str(value).decode_utf8().ok()).is_some_and(|value| is_sound(&value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn filled(template: &str, values: &[&str]) -> Result<String, &'static str> {
        Template::parse(template).unwrap().fill(values)
    }

    #[test]
    fn a_value_stays_where_it_is_put() {
        let one = "GET /orgs/{org}/hooks";
        let table = [
            (one, "acme", "/orgs/acme/hooks"),
            (one, "a/b", "/orgs/a%2Fb/hooks"),
            (one, "a?b#c%2e", "/orgs/a%3Fb%23c%252e/hooks"),
            (one, "a b\u{e9}", "/orgs/a%20b%C3%A9/hooks"),
            (one, "...", "/orgs/.../hooks"),
            ("GET /v1/projects/{project}:list", "p", "/v1/projects/p:list"),
            ("LIST /v1/{mount}/metadata/{path...}", "x", ""),
            ("LIST /v1/auth/{mount...}/role", "team/a b", "/v1/auth/team/a%20b/role"),
            ("LIST /v1/auth/{mount...}/role", "team/", "/v1/auth/team/role"),
            ("LIST /kv/{path...}", "a/b/", "/kv/a/b/"),
        ];
        for (template, value, path) in table {
            match filled(template, &[value]) {
                Ok(made) => {
                    assert_eq!(made, path);
                    assert!(Template::parse(template).unwrap().fits(path), "{path}");
                }
                Err(said) => assert!(path.is_empty() && said.contains("missing"), "{template} {value}: {said}"),
            }
        }
    }

    proptest! {
        /// Whatever is put in comes out of the same segment, or is refused.
        #[test]
        fn a_value_is_in_its_segment_and_nowhere_else(value in "\\PC{0,12}|[./%?#\\\\a]{1,8}") {
            if let Ok(path) = filled("GET /orgs/{org}/hooks", &[&value]) {
                let url = url::Url::parse(&format!("https://a.example{path}")).unwrap();
                prop_assert_eq!(url.path(), &path);
                prop_assert!(url.query().is_none() && url.fragment().is_none());
                let segments: Vec<_> = url.path_segments().unwrap().collect();
                prop_assert_eq!(segments.len(), 3);
                prop_assert_eq!(percent_decode_str(segments[1]).decode_utf8().unwrap(), value);
                let fits = Template::parse("GET /orgs/{org}/hooks").unwrap().fits(&path);
                prop_assert!(fits);
            }
        }
    }

    #[test]
    fn a_value_that_could_change_the_path_is_refused() {
        for value in ["", ".", "..", "../x", "a/../b", "a\\..\\b", "a\0", "a\nb", "./a"] {
            assert!(filled("GET /orgs/{org}", &[value]).is_err(), "{value:?}");
        }
        for value in ["", "/", "/a", "a//b", "a/../b", "..", "a/.", "a//"] {
            assert!(filled("GET /kv/{path...}", &[value]).is_err(), "{value:?}");
        }
        assert!(filled("GET /orgs/{org}", &["a", "b"]).is_err());
    }

    #[test]
    fn only_paths_of_its_shape_fit() {
        let table = [
            ("GET /orgs/{org}/hooks", "/orgs/acme/hooks", true),
            ("GET /orgs/{org}/hooks", "/orgs/a%2Fb/hooks", true),
            ("GET /orgs/{org}/hooks", "/orgs/a%2F..%2Fb/hooks", false),
            ("GET /orgs/{org}/hooks", "/orgs/a/b/hooks", false),
            ("GET /orgs/{org}/hooks", "/orgs//hooks", false),
            ("GET /orgs/{org}/hooks", "/orgs/acme/hooks/1", false),
            ("GET /orgs/{org}/hooks", "/orgs/acme", false),
            ("GET /users('{id}')", "/users('7')", true),
            ("GET /users('{id}')", "/users('')", false),
            ("GET /kv/{path...}", "/kv/a/b/c", true),
            ("GET /kv/{path...}", "/kv/a/", true),
            ("GET /kv/{path...}", "/kv/", false),
            ("GET /kv/{path...}", "/kv/a/%2e%2e/b", false),
            ("GET /kv/{path...}", "/kv/a%ff", false),
            ("LIST /auth/{mount...}/role", "/auth/a/b/role", true),
            ("LIST /auth/{mount...}/role", "/auth/a/b/role/c", false),
            ("LIST /auth/{mount...}/role", "/auth/role", false),
            ("GET /", "/", true),
            ("GET /", "/a", false),
        ];
        for (template, path, fits) in table {
            assert_eq!(Template::parse(template).unwrap().fits(path), fits, "{template} {path}");
        }
    }

    #[test]
    fn what_declares_no_read_is_refused() {
        let wrong = [
            "/orgs",
            "DELETE /orgs/{org}",
            "PUT /orgs/{org}",
            "PATCH /orgs/{org}",
            "get /orgs",
            "GET orgs",
            "GET /orgs?x=y",
            "GET /a//b",
            "GET /a/../b",
            "GET /a/{}",
            "GET /a/{b",
            "GET /a/{b}{c}",
            "GET /a/x{b...}",
            "GET /{a...}/{b...}/{c...}",
            "GET /a b",
            "GET /a Action=b",
            "POST /a b",
            "POST /a Action=",
            "POST /a =b",
            "POST /a Action=b&c",
            "POST /a Action=b c=d",
            "GET /a%2fb",
            "GET http://example.org/a",
            "GET https://user:pass@example.org/a",
            "GET ftp://example.org/a",
            "GET https://example.org",
        ];
        for text in wrong {
            assert!(Template::parse(text).is_err(), "{text}");
        }
        assert!(Template::parse("POST https://login.example.org/{tenant}/token").is_ok());
    }
}
