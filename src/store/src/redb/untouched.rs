//! A file that is read and never written: what would be written to it is kept in memory and forgotten.
//! It must never change the file.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, ErrorKind},
    os::unix::fs::FileExt as _,
    sync::{PoisonError, RwLock},
};

use ::redb::StorageBackend;

/// Bytes of the file that are kept together.
const BLOCK: u64 = 4096;

/// The file below, what was written above.
#[derive(Debug)]
pub(super) struct Untouched {
    file: File,
    above: RwLock<Above>,
}

#[derive(Debug, Default)]
struct Above {
    length: u64,
    /// Up to where the file below still counts: cutting it off and growing it again leaves zeros.
    below: u64,
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl Untouched {
    pub(super) fn over(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { file, above: RwLock::new(Above { length, below: length, blocks: BTreeMap::new() }) })
    }

    /// One block as it stands.
    fn block(&self, above: &Above, number: u64) -> io::Result<Vec<u8>> {
        if let Some(written) = above.blocks.get(&number) {
            return Ok(written.clone());
        }
        let mut bytes = vec![0; BLOCK as usize];
        let start = number * BLOCK;
        let count = usize::try_from(above.below.saturating_sub(start).min(BLOCK)).unwrap_or_default();
        self.file.read_exact_at(bytes.get_mut(..count).unwrap_or_default(), start)?;
        Ok(bytes)
    }
}

/// The parts of a range, block by block: the block, where the part begins in it, how long it is.
fn parts(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let end = offset + length as u64;
    (offset / BLOCK..end.div_ceil(BLOCK)).filter_map(move |number| {
        let from = offset.max(number * BLOCK);
        let to = end.min((number + 1) * BLOCK);
        Some((number, usize::try_from(from - number * BLOCK).ok()?, usize::try_from(to.checked_sub(from)?).ok()?))
    })
}

impl StorageBackend for Untouched {
    fn len(&self) -> io::Result<u64> {
        Ok(self.above.read().unwrap_or_else(PoisonError::into_inner).length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let above = self.above.read().unwrap_or_else(PoisonError::into_inner);
        if offset + out.len() as u64 > above.length {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let mut rest = out;
        for (number, start, length) in parts(offset, rest.len()) {
            let block = self.block(&above, number)?;
            let (part, further) = rest.split_at_mut_checked(length).ok_or(ErrorKind::UnexpectedEof)?;
            part.copy_from_slice(block.get(start..start + length).ok_or(ErrorKind::UnexpectedEof)?);
            rest = further;
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut above = self.above.write().unwrap_or_else(PoisonError::into_inner);
        if length < above.length {
            let last = self.block(&above, length / BLOCK)?;
            above.blocks.split_off(&(length / BLOCK));
            let kept = usize::try_from(length % BLOCK).unwrap_or_default();
            if kept > 0 {
                let mut block = last;
                block.iter_mut().skip(kept).for_each(|byte| *byte = 0);
                above.blocks.insert(length / BLOCK, block);
            }
        }
        above.length = length;
        above.below = above.below.min(length);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut above = self.above.write().unwrap_or_else(PoisonError::into_inner);
        let mut rest = data;
        for (number, start, length) in parts(offset, data.len()) {
            let mut block = self.block(&above, number)?;
            let (part, further) = rest.split_at_checked(length).ok_or(ErrorKind::UnexpectedEof)?;
            block.get_mut(start..start + length).ok_or(ErrorKind::UnexpectedEof)?.copy_from_slice(part);
            above.blocks.insert(number, block);
            rest = further;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Write(usize, usize),
        SetLen(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0_usize..20_000, 0_usize..9_000).prop_map(|(at, length)| Step::Write(at, length)),
            1 => (0_usize..30_000).prop_map(Step::SetLen),
        ]
    }

    proptest! {
        #[test]
        fn it_answers_as_a_file_would_and_leaves_the_file_alone(
            length in 0_usize..20_000, steps in proptest::collection::vec(step(), 0..12),
        ) {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            let original: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            file.write_all(&original).unwrap();
            let mut naive = original.clone();
            let untouched = Untouched::over(file.reopen().unwrap()).unwrap();
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Write(at, length) => {
                        let at = at.min(naive.len());
                        let length = length.min(naive.len() - at);
                        naive[at..at + length].fill(number as u8);
                        untouched.write(at as u64, &vec![number as u8; length]).unwrap();
                    }
                    Step::SetLen(length) => {
                        naive.resize(length, 0);
                        untouched.set_len(length as u64).unwrap();
                    }
                }
                let mut all = vec![1; naive.len()];
                untouched.read(0, &mut all).unwrap();
                prop_assert!(all == naive);
                prop_assert_eq!(untouched.len().unwrap(), naive.len() as u64);
            }
            prop_assert!(untouched.read(naive.len() as u64, &mut [0]).is_err());
            prop_assert!(std::fs::read(file.path()).unwrap() == original);
        }
    }
}
