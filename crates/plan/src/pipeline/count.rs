//! Numbers that grow without end.

/// A number of ways through a graph, `mantissa` times two to the power of `exponent`. Where every path refers to all
/// below it, as libraries of Haskell do, each doubles the number.
///
/// Below 2^128 it is exact, and `exponent` 0. Above, the first bit of `mantissa` is set, and what is less than
/// its last is cut off. So the order of fields is that of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Count {
    exponent: u32,
    mantissa: u128,
}

impl Count {
    /// 0.
    pub(super) const ZERO: Self = Self::new(0);

    /// A number of this size.
    pub(super) const fn new(mantissa: u128) -> Self {
        let exponent = 0;
        Self { exponent, mantissa }
    }

    /// The sum of two.
    pub(super) fn plus(self, other: Self) -> Self {
        let (large, small) = if self.exponent < other.exponent {
            (other, self)
        } else {
            (self, other)
        };
        let shift = large.exponent - small.exponent;
        let small = small.mantissa.checked_shr(shift).unwrap_or(0);
        match large.mantissa.checked_add(small) {
            Some(mantissa) => Self { mantissa, ..large },
            None => Self {
                exponent: large.exponent + 1,
                // The bit that was carried is the first one.
                mantissa: (large.mantissa.wrapping_add(small) >> 1) | (1 << 127),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_and_go_on_where_numbers_end() {
        let one = Count::new(1);
        assert_eq!(Count::new(3).plus(Count::new(4)), Count::new(7));
        assert_eq!(Count::new(u128::MAX - 1).plus(one), Count::new(u128::MAX));
        let two_to_the_128 = Count::new(u128::MAX).plus(one);
        assert!(two_to_the_128 > Count::new(u128::MAX));
        assert_eq!(
            two_to_the_128,
            Count::new(1 << 127).plus(Count::new(1 << 127))
        );
        let mut doubled = one;
        let mut sum = Count::ZERO;
        for _ in 0..1_000 {
            sum = sum.plus(doubled);
            let next = doubled.plus(doubled);
            assert!(next > doubled && next > sum && sum >= doubled);
            assert_eq!(one.plus(sum), sum.plus(one));
            doubled = next;
        }
        assert_eq!(
            doubled,
            Count {
                exponent: 873,
                mantissa: 1 << 127
            }
        );
    }
}
