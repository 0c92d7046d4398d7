//! The little of DER and of the SSH wire format that key files need: reading fields, and writing public keys.
//! It must never trust a length it has not checked.

/// Reads DER values one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Der<'a>(pub &'a [u8]);

/// Tags used in key files.
pub(crate) const INTEGER: u8 = 0x02;
/// Bit string.
pub(crate) const BITS: u8 = 0x03;
/// Octet string.
pub(crate) const OCTETS: u8 = 0x04;
/// Null.
pub(crate) const NULL: u8 = 0x05;
/// Object identifier.
pub(crate) const OID: u8 = 0x06;
/// Sequence.
pub(crate) const SEQUENCE: u8 = 0x30;

impl<'a> Der<'a> {
    /// The next value's tag and content.
    pub(crate) fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let [tag, short, rest @ ..] = self.0 else { return None };
        let (length, rest) = match short {
            0..=0x7f => (usize::from(*short), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
                (digits.iter().fold(0_usize, |sum, digit| (sum << 8) | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, content))
    }

    /// The next value's content if it has that tag.
    pub(crate) fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let (its, content) = ahead.next()?;
        (its == tag).then(|| {
            *self = ahead;
            content
        })
    }

    /// Goes into a sequence.
    pub(crate) fn sequence(&mut self) -> Option<Der<'a>> {
        self.take(SEQUENCE).map(Der)
    }

    /// The content of the next bit string, which must have whole bytes.
    pub(crate) fn bits(&mut self) -> Option<&'a [u8]> {
        match self.take(BITS)? {
            [0, bytes @ ..] => Some(bytes),
            _ => None,
        }
    }
}

/// A value of that tag.
pub(crate) fn write(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    if length < 0x80 {
        out.push(length as u8);
    } else {
        let digits: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|digit| *digit == 0).collect();
        out.push(0x80 | digits.len() as u8);
        out.extend_from_slice(&digits);
    }
    out.extend_from_slice(content);
    out
}

/// A sequence of values.
pub(crate) fn write_sequence(values: &[Vec<u8>]) -> Vec<u8> {
    write(SEQUENCE, &values.concat())
}

/// A positive integer, in its shortest form.
pub(crate) fn write_integer(digits: &[u8]) -> Vec<u8> {
    let mut content: Vec<u8> = digits.iter().copied().skip_while(|digit| *digit == 0).collect();
    if content.first().is_none_or(|first| first & 0x80 != 0) {
        content.insert(0, 0);
    }
    write(INTEGER, &content)
}

/// A bit string of whole bytes.
pub(crate) fn write_bits(bytes: &[u8]) -> Vec<u8> {
    let mut content = vec![0];
    content.extend_from_slice(bytes);
    write(BITS, &content)
}

/// Reads fields of the SSH wire format (RFC 4251, section 5).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire<'a>(pub &'a [u8]);

impl<'a> Wire<'a> {
    /// The next 32-bit number.
    pub(crate) fn number(&mut self) -> Option<u32> {
        let (digits, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*digits))
    }

    /// The next string.
    pub(crate) fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (content, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let value = write_sequence(&[write_integer(&[0, 0, 0x80, 1]), write_bits(&[7; 300])]);
        let mut inner = Der(&value).sequence().unwrap();
        assert_eq!(inner.take(INTEGER), Some(&[0, 0x80, 1][..]));
        assert_eq!(inner.bits().unwrap().len(), 300);
        assert!(inner.next().is_none());
    }

    #[test]
    fn lengths_beyond_the_end_are_refused() {
        assert_eq!(Der(&[0x30, 0x05, 1]).next(), None);
        assert_eq!(Der(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]).next(), None);
        assert_eq!(Der(&[0x30, 0x80, 0, 0]).next(), None);
        assert_eq!(Wire(&[0, 0, 0, 9, 1]).string(), None);
    }
}
