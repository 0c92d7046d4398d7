//! Lists of words: what one that makes a fault holds, and how a long one is said.
//! It must never take a list that is not known for an empty one.

use provost_model::{Attr, Reading};

use super::{Verdict, View};

/// What a list whose every word is a fault holds, at least one. An empty one is a pass, and one that this kind of thing does
/// not have does not apply.
pub(super) fn faults<'a>(view: &View<'a>, attr: Attr<Vec<String>>) -> Result<&'a [String], Verdict> {
    match view.list(attr) {
        Reading::Known([]) | Reading::Never => Err(Verdict::pass()),
        Reading::Known(all) => Ok(all),
        Reading::NotReported => Err(Verdict::not_applicable()),
        unknown => Err(Verdict::unknown(attr.field().name(), &unknown)),
    }
}

/// The first so many words of a list, and a sign that there are more.
pub(super) fn first<'w>(most: usize, all: impl ExactSizeIterator<Item = &'w str>) -> String {
    let more = if all.len() > most { ", …" } else { "" };
    format!("{}{more}", all.take(most).collect::<Vec<_>>().join(", "))
}
