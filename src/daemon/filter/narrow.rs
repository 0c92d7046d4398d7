//! What an expression rules out by a record's kind alone, so that such records need not even be read.
//! It must never rule out a record that the expression could keep, or leave out for want of a reading.

use cel::{
    common::ast::{Expr, LiteralValue, operators},
    parser::Expression,
};
use provost_model::Kind;

use super::Filter;

impl Filter {
    /// Whether it could keep a record of that kind, or leave it out as unknown: if not, it refuses the record whatever else
    /// is known of it.
    pub fn may_keep(&self, kind: Kind) -> bool {
        may_keep(&self.expression, kind)
    }
}

/// A false part of `a && b` makes the whole false, even where the other part touches something unknown.
fn may_keep(node: &Expression, kind: Kind) -> bool {
    let Expr::Call(call) = &node.expr else { return true };
    let [left, right] = call.args.as_slice() else { return true };
    match call.func_name.as_str() {
        operators::LOGICAL_AND => may_keep(left, kind) && may_keep(right, kind),
        operators::EQUALS => {
            let word = if is_kind(left) { text(right) } else { text(left).filter(|_| is_kind(right)) };
            word.is_none_or(|word| word == kind.name())
        }
        operators::IN if is_kind(left) => match &right.expr {
            Expr::List(list) => list.elements.iter().any(|it| text(it).is_none_or(|word| word == kind.name())),
            _ => true,
        },
        _ => true,
    }
}

fn is_kind(node: &Expression) -> bool {
    matches!(&node.expr, Expr::Ident(name) if name == "kind")
}

fn text(node: &Expression) -> Option<&str> {
    match &node.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}
