//! Wildcard patterns of the policy language: `*` any text, `?` one character.
//! It must never take more than the product of both lengths.

/// Whether the pattern matches everything that `target`, itself a pattern, matches. Without regard to case, as IAM compares
/// actions. Sound: it says yes only if that is so.
pub(super) fn covers(pattern: &str, target: &str) -> bool {
    let (pattern, target) = (pattern.as_bytes(), target.as_bytes());
    let (mut at, mut seen) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(wanted) = target.get(seen) {
        match pattern.get(at) {
            Some(b'*') => {
                retry = Some((at + 1, seen));
                at += 1;
                continue;
            }
            Some(b'?') if *wanted != b'*' => {}
            Some(given) if given.eq_ignore_ascii_case(wanted) && *given != b'?' => {}
            _ => {
                let Some((after, from)) = retry else { return false };
                retry = Some((after, from + 1));
                (at, seen) = (after, from + 1);
                continue;
            }
        }
        at += 1;
        seen += 1;
    }
    pattern.get(at..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

/// Whether some text is matched by both patterns. Without regard to case.
pub(super) fn overlaps(one: &str, other: &str) -> bool {
    let other = other.as_bytes();
    // reach[j]: some text is matched by the part of `one` read so far and by the first j bytes of `other`.
    let mut reach = vec![false; other.len() + 1];
    spread(&mut reach, other, true);
    for given in one.bytes() {
        let mut next = vec![false; other.len() + 1];
        if given == b'*' {
            let mut any = false;
            for (slot, before) in next.iter_mut().zip(&reach) {
                any |= *before;
                *slot = any;
            }
        } else {
            for (index, wanted) in other.iter().enumerate() {
                let here = reach.get(index).copied().unwrap_or(false);
                let passes = *wanted == b'?' || given == b'?' || given.eq_ignore_ascii_case(wanted);
                if *wanted == b'*' {
                    // The star takes one more character and stays, or ends there.
                    mark(&mut next, index, here);
                    mark(&mut next, index + 1, here);
                } else if passes {
                    mark(&mut next, index + 1, here);
                }
            }
        }
        spread(&mut next, other, false);
        reach = next;
    }
    reach.last().copied().unwrap_or(false)
}

/// A star of `other` may match nothing.
fn spread(reach: &mut [bool], other: &[u8], start: bool) {
    if start {
        mark(reach, 0, true);
    }
    for (index, byte) in other.iter().enumerate() {
        if *byte == b'*' && reach.get(index).copied().unwrap_or(false) {
            mark(reach, index + 1, true);
        }
    }
}

fn mark(reach: &mut [bool], index: usize, value: bool) {
    if let Some(slot) = reach.get_mut(index) {
        *slot |= value;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pattern_covers_another_only_if_all_of_it() {
        for (pattern, target, wanted) in [
            ("*", "*:*", true),
            ("*:*", "*:*", true),
            ("IAM:*", "iam:*", true),
            ("i?m:*", "iam:*", true),
            ("ia*", "iam:*", true),
            ("iam:**", "iam:*", true),
            ("iam:?*", "iam:*", false),
            ("iam:Get*", "iam:*", false),
            ("iam:?", "iam:*", false),
            ("iam:Get*", "iam:GetUser", true),
            ("iam:*User", "iam:GetUser", true),
            ("iam:*Use", "iam:GetUser", false),
            ("", "", true),
            ("", "*", false),
        ] {
            assert_eq!(covers(pattern, target), wanted, "{pattern} {target}");
        }
    }

    #[test]
    fn patterns_overlap_if_some_text_is_in_both() {
        for (one, other, wanted) in [
            ("*", "arn:*:iam::*", true),
            ("arn:aws:s3:::x", "arn:*:iam::*", false),
            ("arn:aws:iam::*:user/x", "arn:*:iam::*", true),
            ("*/x", "arn:*:iam::*", true),
            ("a*c", "ab?", true),
            ("a*d", "ab?e", false),
            ("", "*", true),
            ("", "?", false),
        ] {
            assert_eq!(overlaps(one, other), wanted, "{one} {other}");
            assert_eq!(overlaps(other, one), wanted, "{other} {one}");
        }
    }

    proptest! {
        #[test]
        fn covering_and_overlapping_agree_with_texts(one in "[ab*?]{0,6}", other in "[ab*?]{0,6}", text in "[ab]{0,6}") {
            let (in_one, in_other) = (covers(&one, &text), covers(&other, &text));
            if covers(&one, &other) && in_other {
                prop_assert!(in_one, "{one} covers {other} but not {text}");
            }
            if in_one && in_other {
                prop_assert!(overlaps(&one, &other), "{one} and {other} share {text}");
            }
            prop_assert_eq!(overlaps(&one, &text), in_one);
        }
    }
}
