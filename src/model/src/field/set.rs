//! A set of attributes as bits, one for each attribute number: what a rule reads, what a change touched.
//! It must never lose an attribute: numbers of 256 and over do not fit, and a test keeps the vocabulary below.

use super::Field;

/// A set of attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FieldSet {
    /// Numbers below 128.
    low: u128,
    /// Numbers from 128 on.
    high: u128,
}

impl FieldSet {
    /// No attribute.
    pub const EMPTY: Self = Self { low: 0, high: 0 };
    /// Every attribute there is or will be.
    pub const ALL: Self = Self { low: u128::MAX, high: u128::MAX };

    /// The set of these attributes.
    pub const fn of(fields: &[Field]) -> Self {
        let (mut set, mut rest) = (Self::EMPTY, fields);
        while let [first, others @ ..] = rest {
            set = set.with(*first);
            rest = others;
        }
        set
    }

    /// This set and another.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { low: self.low | other.low, high: self.high | other.high }
    }

    /// This set and one more attribute.
    #[must_use]
    pub const fn with(self, field: Field) -> Self {
        self.and(Self::only(field))
    }

    /// Whether an attribute is in it.
    pub const fn has(self, field: Field) -> bool {
        self.meets(Self::only(field))
    }

    /// Whether both have an attribute in common.
    pub const fn meets(self, other: Self) -> bool {
        self.low & other.low != 0 || self.high & other.high != 0
    }

    /// Whether nothing is in it.
    pub const fn is_empty(self) -> bool {
        self.low == 0 && self.high == 0
    }

    /// Its attributes, in the order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = Field> {
        super::ALL.iter().copied().filter(move |field| self.has(*field))
    }

    const fn only(field: Field) -> Self {
        match field.code() {
            code @ 0..128 => Self { low: 1 << code, high: 0 },
            code => Self { low: 0, high: 1 << (code - 128) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field;

    #[test]
    fn every_attribute_has_a_bit_of_its_own() {
        let all = FieldSet::of(field::ALL);
        assert!(all.iter().eq(field::ALL.iter().copied()));
    }

    #[test]
    fn sets_are_joined_and_compared() {
        const ONE: FieldSet = FieldSet::of(&[field::NAME.field(), field::TAGS.field()]);
        let other = FieldSet::EMPTY.with(field::TAGS.field());
        assert!(ONE.has(field::NAME.field()) && !other.has(field::NAME.field()));
        assert!(ONE.meets(other) && !other.meets(FieldSet::of(&[field::NAME.field()])));
        assert_eq!(ONE.and(other), ONE);
        assert!(FieldSet::EMPTY.is_empty() && FieldSet::ALL.has(field::TAGS.field()));
    }
}
