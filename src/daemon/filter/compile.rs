//! From a text to a checked expression: parsed, its names known, its words spelt right, `reading(…)` made a name.
//! It must never let an expression through whose evaluation is unbounded.

use cel::{
    Program,
    common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators},
    parser::Expression,
};

use super::{
    FilterError, Shape, Subject, Vocabulary,
    bounds::{self, DEPTH_MAX, LOOPS_MAX},
    vocabulary::nearest,
};

/// A checked expression over one sort of rows.
#[derive(Debug)]
pub struct Filter {
    pub(super) source: String,
    pub(super) expression: Expression,
    pub(super) wanted: Vec<Wanted>,
}

/// What a row is asked for, and the name under which the expression finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) bound: String,
    pub(super) name: &'static str,
    pub(super) what: Asked,
}

/// What is asked of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Its value.
    Value,
    /// The word of its reading: `reading(name)`.
    Word,
    /// Whether it has a value: `known(name)`.
    Known,
}

impl Filter {
    /// Checks an expression over rows of that sort.
    pub fn compile<S: Subject>(source: &str) -> Result<Self, FilterError> {
        bounds::check(source)?;
        bounds::on_big_stack(|| compile(source, S::vocabulary()))?
    }

    /// Whether it asks for what is called so.
    pub fn asks_for(&self, name: &str) -> bool {
        self.wanted.iter().any(|wanted| wanted.name == name)
    }

    /// The text it was made from.
    pub fn source(&self) -> &str {
        &self.source
    }
}

fn compile(source: &str, words: &'static Vocabulary) -> Result<Filter, FilterError> {
    let program = Program::compile(source).map_err(|errors| parse_error(source, &errors))?;
    let mut expression = program.expression().clone();
    let mut walk = Walk { source, words, scope: Vec::new(), wanted: Vec::new(), loops: 0 };
    walk.visit(&mut expression, 0)?;
    Ok(Filter { source: source.to_owned(), expression, wanted: walk.wanted })
}

fn parse_error(source: &str, errors: &cel::ParseErrors) -> FilterError {
    let Some(first) = errors.errors.first() else { return FilterError::plain("the expression cannot be parsed") };
    // The parser goes on to list every token it could have met instead, which helps nobody.
    let said = first.msg.split(" expecting").next().unwrap_or_default().trim_start_matches("Syntax error: ");
    let said = said.replace("mismatched input '<EOF>'", "something is missing at the end");
    let said = format!("the expression cannot be parsed: {said}");
    let (line, column) = (usize::try_from(first.pos.0).unwrap_or(1), usize::try_from(first.pos.1).unwrap_or(1));
    let start: usize = source.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let mut at = (start + column.saturating_sub(1)).min(source.len());
    while !source.is_char_boundary(at) {
        at -= 1;
    }
    FilterError::at(said, source, at..(at + 1).min(source.len()))
}

struct Walk<'s> {
    source: &'s str,
    words: &'static Vocabulary,
    scope: Vec<String>,
    wanted: Vec<Wanted>,
    loops: usize,
}

impl Walk<'_> {
    fn visit(&mut self, node: &mut Expression, depth: usize) -> Result<(), FilterError> {
        if depth > DEPTH_MAX {
            return Err(FilterError::plain(format!("the expression nests more than {DEPTH_MAX} operators deep")));
        }
        let below = depth + 1;
        if let Some(renamed) = self.renamed(&node.expr)? {
            node.expr = Expr::Ident(renamed);
            return Ok(());
        }
        match &mut node.expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.ident(name),
            Expr::Call(call) => {
                self.check_call(call)?;
                if let Some(target) = &mut call.target {
                    self.visit(target, below)?;
                }
                call.args.iter_mut().try_for_each(|arg| self.visit(arg, below))
            }
            Expr::Select(select) => self.visit(&mut select.operand, below),
            Expr::List(list) => list.elements.iter_mut().try_for_each(|element| self.visit(element, below)),
            Expr::Map(map) => map.entries.iter_mut().try_for_each(|entry| self.entry(&mut entry.expr, below)),
            Expr::Struct(structure) => {
                structure.entries.iter_mut().try_for_each(|entry| self.entry(&mut entry.expr, below))
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, below),
        }
    }

    fn entry(&mut self, entry: &mut EntryExpr, depth: usize) -> Result<(), FilterError> {
        match entry {
            EntryExpr::StructField(field) => self.visit(&mut field.value, depth),
            EntryExpr::MapEntry(entry) => {
                self.visit(&mut entry.key, depth)?;
                self.visit(&mut entry.value, depth)
            }
        }
    }

    fn comprehension(&mut self, it: &mut ComprehensionExpr, depth: usize) -> Result<(), FilterError> {
        self.visit(&mut it.iter_range, depth)?;
        self.visit(&mut it.accu_init, depth)?;
        self.loops += 1;
        if self.loops > LOOPS_MAX {
            return Err(FilterError::plain(format!("all, exists, map and filter nest more than {LOOPS_MAX} deep")));
        }
        let outer = self.scope.len();
        self.scope.push(it.accu_var.clone());
        self.scope.push(it.iter_var.clone());
        self.scope.extend(it.iter_var2.clone());
        self.visit(&mut it.loop_cond, depth)?;
        self.visit(&mut it.loop_step, depth)?;
        self.visit(&mut it.result, depth)?;
        self.scope.truncate(outer);
        self.loops -= 1;
        Ok(())
    }

    /// The name that replaces `attributes.x`, `has(attributes.x)`, `reading(x)` or `known(x)`.
    fn renamed(&mut self, expr: &Expr) -> Result<Option<String>, FilterError> {
        if let Some(name) = self.attribute(expr) {
            let test = matches!(expr, Expr::Select(select) if select.test);
            return self.want(&name, if test { Asked::Known } else { Asked::Value }).map(Some);
        }
        let Expr::Call(call) = expr else { return Ok(None) };
        let what = match (call.func_name.as_str(), &call.target) {
            ("reading", None) => Asked::Word,
            ("known", None) => Asked::Known,
            _ => return Ok(None),
        };
        let name = match call.args.as_slice() {
            [only] => match &only.expr {
                Expr::Ident(name) => Some(name.clone()),
                other => self.attribute(other),
            },
            _ => None,
        };
        match name {
            Some(name) => self.want(&name, what).map(Some),
            None => {
                let said = format!("{0}() takes the name of one field, as in {0}(last_used_at)", call.func_name);
                Err(self.fault(said, &call.func_name))
            }
        }
    }

    /// `x` of `attributes.x`.
    fn attribute(&self, expr: &Expr) -> Option<String> {
        let Expr::Select(select) = expr else { return None };
        let is_attributes = matches!(&select.operand.expr, Expr::Ident(name) if name == "attributes");
        (is_attributes && self.words.has_attributes() && !self.is_own("attributes")).then(|| select.field.clone())
    }

    fn ident(&mut self, name: &str) -> Result<(), FilterError> {
        if self.is_own(name) || TYPES.contains(&name) {
            return Ok(());
        }
        if name == "attributes" && self.words.has_attributes() {
            return Err(self.fault("attributes is used as attributes.NAME, or simply NAME", name));
        }
        self.want(name, Asked::Value).map(drop)
    }

    fn is_own(&self, name: &str) -> bool {
        name.starts_with('@') || self.scope.iter().any(|own| own == name)
    }

    fn want(&mut self, typed: &str, what: Asked) -> Result<String, FilterError> {
        let Some(name) = self.words.spelling(typed) else {
            let said = match self.words.nearest(typed) {
                Some(near) => format!("there is no field {typed:?}; did you mean {near:?}?"),
                None => format!("there is no field {typed:?}"),
            };
            return Err(self.fault(said, typed));
        };
        let bound = match what {
            Asked::Value => name.to_owned(),
            Asked::Word => format!("reading@{name}"),
            Asked::Known => format!("known@{name}"),
        };
        let wanted = Wanted { bound: bound.clone(), name, what };
        if !self.wanted.contains(&wanted) {
            self.wanted.push(wanted);
        }
        Ok(bound)
    }

    /// Comparisons that can never be meant, told before the first row: a misspelt word of a closed list, a list
    /// compared with a text, an instant compared with a text.
    fn check_call(&self, call: &CallExpr) -> Result<(), FilterError> {
        let [left, right] = call.args.as_slice() else { return Ok(()) };
        let (Some((name, shape)), Some(text)) =
            (self.typed(&left.expr).or(self.typed(&right.expr)), text_of(left, right))
        else {
            return Ok(());
        };
        let equality = matches!(call.func_name.as_str(), operators::EQUALS | operators::NOT_EQUALS);
        let order = matches!(
            call.func_name.as_str(),
            operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS
        );
        match shape {
            Shape::Word(words) if equality && !words.contains(&text) => {
                let hint = match nearest(text, words.iter().copied()) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => format!("it is one of {}", words.join(", ")),
                };
                Err(self.fault(format!("{name} is never {text:?}; {hint}"), text))
            }
            Shape::List if equality => Err(self.fault(format!("{name} is a list; write {text:?} in {name}"), name)),
            Shape::Time if equality || order => {
                let said = format!("{name} is an instant; compare it with timestamp(\"2026-10-01T00:00:00Z\")");
                Err(self.fault(said, name))
            }
            _ => Ok(()),
        }
    }

    fn typed<'e>(&self, expr: &'e Expr) -> Option<(&'e str, Shape)> {
        let name = match expr {
            Expr::Ident(name) if !self.is_own(name) => name,
            Expr::Select(select) if !select.test && self.attribute(expr).is_some() => &select.field,
            _ => return None,
        };
        Some((name, self.words.shape(name)?))
    }

    /// A fault at the first place where that word stands by itself.
    fn fault(&self, said: impl Into<String>, word: &str) -> FilterError {
        let is_part = |letter: Option<char>| letter.is_some_and(|it| it.is_alphanumeric() || it == '_');
        let alone = self.source.match_indices(word).find(|(at, _)| {
            let before = self.source.get(..*at).and_then(|text| text.chars().next_back());
            let after = self.source.get(at + word.len()..).and_then(|text| text.chars().next());
            !is_part(before) && !is_part(after)
        });
        match alone {
            Some((at, _)) if !word.is_empty() => FilterError::at(said, self.source, at..at + word.len()),
            _ => FilterError::plain(said),
        }
    }
}

/// Names of types, which are values in CEL.
const TYPES: &[&str] = &["bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type"];

fn text_of<'e>(left: &'e Expression, right: &'e Expression) -> Option<&'e str> {
    [left, right].into_iter().find_map(|side| match &side.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    })
}
