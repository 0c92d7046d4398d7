//! Amounts of disk space as typed: `2GiB`, `500MB`, `5%`.
//! It must never round down what is to be kept free.

/// How much space: so many bytes, or a share of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// So many bytes.
    Bytes(u64),
    /// So many hundredths of the disk.
    Percent(u8),
    /// The larger of 1 GiB and 5 % of the disk.
    Default,
}

impl Size {
    /// The size a text means.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "write a size with its unit, such as 2GiB, 500MB or 5%".to_owned();
        let text = text.trim();
        let split = text.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, unit) = text.split_at(split);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let scale: u64 = match unit.trim() {
            "%" => return u8::try_from(number).ok().filter(|it| *it <= 90).map(Size::Percent).ok_or_else(wrong),
            "B" => 1,
            "kB" | "KB" => 1_000,
            "KiB" => 1 << 10,
            "MB" => 1_000_000,
            "MiB" => 1 << 20,
            "GB" => 1_000_000_000,
            "GiB" => 1 << 30,
            "TB" => 1_000_000_000_000,
            "TiB" => 1 << 40,
            _ => return Err(wrong()),
        };
        number.checked_mul(scale).map(Size::Bytes).ok_or_else(wrong)
    }

    /// Bytes, on a disk of so many bytes.
    pub fn on_disk_of(self, total: u64) -> u64 {
        let share = |percent: u8| (u128::from(total) * u128::from(percent)).div_ceil(100);
        match self {
            Size::Bytes(bytes) => bytes,
            Size::Percent(percent) => u64::try_from(share(percent)).unwrap_or(u64::MAX),
            Size::Default => u64::try_from(share(5)).unwrap_or(u64::MAX).max(1 << 30),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_need_a_unit() {
        assert_eq!(Size::parse("2GiB"), Ok(Size::Bytes(2 << 30)));
        assert_eq!(Size::parse(" 500 MB"), Ok(Size::Bytes(500_000_000)));
        assert_eq!(Size::parse("5%"), Ok(Size::Percent(5)));
        for text in ["", "5", "GiB", "-1GiB", "91%", "99999999999999TiB", "1XB"] {
            assert!(Size::parse(text).is_err(), "{text}");
        }
        assert_eq!(Size::Default.on_disk_of(1 << 30), 1 << 30);
        assert_eq!(Size::Default.on_disk_of(1 << 40), (1_u64 << 40).div_ceil(20));
    }
}
