//! The vectors of tools in memory, a byte a number: of 20,000 tools and 384 numbers 8 MB.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use arc_swap::ArcSwap;

use super::Key;

/// Vectors by key. It only grows: what is no longer wanted is gone at the next start.
#[derive(Debug, Default)]
pub struct Shelf(RwLock<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Numbers of a vector; 0 until the first one is there.
    width: usize,
    /// The vectors, one behind the other.
    values: Vec<i8>,
    /// What the numbers of each have to be multiplied by.
    scales: Vec<f32>,
    rows: HashMap<Key, u32>,
}

/// Which vectors the tools of an index have, by their number.
#[derive(Debug)]
pub struct Rows {
    keys: Vec<Key>,
    /// How many vectors there were when it was looked at last, and what was found.
    found: ArcSwap<(usize, Vec<u32>)>,
}

/// One of so many tools of an index may lack its vector.
const FEW: usize = 20;

/// In place of a row: there is none yet.
const NONE: u32 = u32::MAX;

impl Rows {
    /// Of tools with these keys.
    pub fn new(keys: Vec<Key>) -> Self {
        let found = vec![NONE; keys.len()];
        Self { keys, found: ArcSwap::from_pointee((0, found)) }
    }
}

impl Shelf {
    /// Whether the vector of a key is there.
    pub fn has(&self, key: &Key) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).rows.contains_key(key)
    }

    /// Whether none is there.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many are there.
    pub fn len(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).rows.len()
    }

    /// Bytes of memory, about.
    pub fn bytes(&self) -> usize {
        let inner = self.0.read().unwrap_or_else(PoisonError::into_inner);
        inner.values.capacity() + inner.scales.capacity() * 4 + inner.rows.capacity() * 24
    }

    /// Puts vectors in, with their keys. Those of another width than the first are left out.
    pub fn put(&self, vectors: impl IntoIterator<Item = (Key, Packed)>) {
        let mut inner = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (key, packed) in vectors {
            if inner.width == 0 {
                inner.width = packed.values.len();
            }
            if packed.values.len() != inner.width || inner.rows.contains_key(&key) {
                continue;
            }
            let Ok(row) = u32::try_from(inner.scales.len()) else { return };
            inner.values.extend(packed.values);
            inner.scales.push(packed.scale);
            inner.rows.insert(key, row);
        }
    }

    /// How near the tools of an index are to a query, from -1 to 1, by their number; not a number for
    /// those without a vector. Empty when many have none: those that have one would hide them.
    pub fn near(&self, query: &[f32], rows: &Rows) -> Vec<f32> {
        let inner = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let Some(query) = Packed::new(query) else { return Vec::new() };
        if inner.width != query.values.len() {
            return Vec::new();
        }
        let found = inner.found(rows);
        let without = found.1.iter().filter(|row| **row == NONE).count();
        if without * FEW > found.1.len() {
            return Vec::new();
        }
        pulp::Arch::new().dispatch(|| {
            let one = |row: &u32| {
                let begin = *row as usize * inner.width;
                let values = inner.values.get(begin..begin + inner.width)?;
                let scale = inner.scales.get(*row as usize)?;
                Some(product(values, &query.values) as f32 * scale * query.scale)
            };
            found.1.iter().map(|row| one(row).unwrap_or(f32::NAN)).collect()
        })
    }
}

impl Inner {
    /// The rows of an index. Looked up again when there are new ones: while the vectors of a whole
    /// catalogue are made, once in a while.
    fn found(&self, rows: &Rows) -> Arc<(usize, Vec<u32>)> {
        let known = rows.found.load_full();
        if known.0 == self.rows.len() || !known.1.contains(&NONE) {
            return known;
        }
        let of = |(key, row): (&Key, &u32)| match *row {
            NONE => self.rows.get(key).copied().unwrap_or(NONE),
            row => row,
        };
        let found = rows.keys.iter().zip(&known.1).map(of).collect();
        let found = Arc::new((self.rows.len(), found));
        rows.found.store(found.clone());
        found
    }
}

#[inline(always)]
fn product(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
}

/// A vector of length 1, a byte a number.
#[derive(Debug, Clone, PartialEq)]
pub struct Packed {
    values: Vec<i8>,
    scale: f32,
}

impl Packed {
    /// None of a vector of nothing.
    pub fn new(vector: &[f32]) -> Option<Self> {
        let most = vector.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        if most.is_nan() || most <= 0.0 || most.is_infinite() {
            return None;
        }
        let scale = most / 127.0;
        let values = vector.iter().map(|value| (value / scale).round() as i8).collect();
        Some(Self { values, scale })
    }

    /// As it is stored.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.scale.to_le_bytes().to_vec();
        bytes.extend(self.values.iter().map(|value| value.to_le_bytes()[0]));
        bytes
    }

    /// From what was stored.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (scale, values) = bytes.split_first_chunk::<4>()?;
        let scale = f32::from_le_bytes(*scale);
        let values: Vec<i8> = values.iter().map(|byte| i8::from_le_bytes([*byte])).collect();
        (scale.is_finite() && scale > 0.0 && !values.is_empty()).then_some(Self { values, scale })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(values: &[f32]) -> Packed {
        Packed::new(values).unwrap()
    }

    #[test]
    fn a_byte_a_number_is_exact_enough() {
        let vector = |seed: usize| -> Vec<f32> {
            let mut v: Vec<f32> =
                (0..384).map(|at| ((at * seed * 31 + 7) % 101) as f32 / 50.0 - 1.0).collect();
            super::super::unit(&mut v);
            v
        };
        let shelf = Shelf::default();
        let keys: Vec<Key> = (1..20).map(|seed| [seed; 16]).collect();
        shelf.put(keys.iter().map(|key| (*key, packed(&vector(usize::from(key[0]))))));
        let query = vector(5);
        for (key, near) in keys.iter().zip(shelf.near(&query, &Rows::new(keys.clone()))) {
            let exact: f32 =
                vector(usize::from(key[0])).iter().zip(&query).map(|(a, b)| a * b).sum();
            assert!((near - exact).abs() < 0.004, "{near} {exact}");
        }
    }

    #[test]
    fn tools_get_their_vectors_as_they_come() {
        let (shelf, a, b) = (Shelf::default(), [1; 16], [2; 16]);
        let rows = Rows::new(vec![a, b, a]);
        assert!(shelf.near(&[1.0, 0.0], &rows).is_empty());
        shelf.put([(b, packed(&[0.0, 1.0]))]);
        assert!(shelf.near(&[0.0, 1.0], &rows).is_empty(), "most have none");
        let many = Rows::new([vec![b; 19], vec![a]].concat());
        let near = shelf.near(&[0.0, 1.0], &many);
        assert!(near[19].is_nan() && near[..19].iter().all(|near| *near == 1.0));
        shelf.put([(a, packed(&[1.0, 0.0])), (b, packed(&[1.0, 0.0])), ([3; 16], packed(&[1.0]))]);
        assert_eq!(shelf.near(&[0.0, 1.0], &rows), [0.0, 1.0, 0.0]);
        assert_eq!(shelf.near(&[1.0, 0.0], &rows), [1.0, 0.0, 1.0]);
        assert_eq!(shelf.len(), 2);
        assert!(shelf.near(&[1.0], &rows).is_empty());
    }

    #[test]
    fn what_was_stored_is_read_again() {
        let vector = packed(&[0.5, -1.0, 0.25]);
        assert_eq!(Packed::from_bytes(&vector.bytes()), Some(vector));
        for wrong in [&b""[..], b"123", &[0, 0, 0, 0, 1], &[0xff; 9]] {
            assert!(Packed::from_bytes(wrong).is_none());
        }
        assert!(Packed::new(&[0.0]).is_none() && Packed::new(&[f32::NAN]).is_none());
    }
}
