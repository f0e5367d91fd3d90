//! Lists of numbers as bytes: seven bits to a byte, the low ones first.

/// Appends a number.
pub fn put(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Reads all numbers; what is cut off at the end is left out.
pub fn all(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let mut rest = bytes.iter();
    std::iter::from_fn(move || {
        let (mut n, mut shift) = (0u64, 0);
        for &byte in rest.by_ref() {
            n |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            shift += 7;
            if byte < 0x80 {
                return Some(n);
            }
        }
        None
    })
}

/// Counts by number, as pairs of the distance from the number before and the count.
pub fn put_counts(counts: impl IntoIterator<Item = (u64, u64)>) -> Vec<u8> {
    let (mut out, mut before) = (Vec::new(), 0);
    for (number, count) in counts {
        put(&mut out, number - before);
        put(&mut out, count);
        before = number;
    }
    out
}

/// The inverse of [`put_counts`].
pub fn counts(bytes: &[u8]) -> impl Iterator<Item = (u64, u64)> + '_ {
    let mut numbers = all(bytes);
    let mut at = 0u64;
    std::iter::from_fn(move || {
        at = at.wrapping_add(numbers.next()?);
        Some((at, numbers.next()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_garbage_does_no_harm() {
        let pairs = [(0, 1), (3, 200), (70_000, 1 << 40), (70_001, 0)];
        assert!(counts(&put_counts(pairs)).eq(pairs));
        assert_eq!(all(&[0xff; 30]).count(), 0);
        assert_eq!(counts(&[1]).count(), 0);
    }
}
