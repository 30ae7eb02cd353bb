//! Files of weights: a length, a table in JSON, and numbers.

use std::collections::HashMap;

use serde::Deserialize;

/// Longest table, in bytes.
const MAX_TABLE: usize = 1 << 20;

/// Why a file is not the model's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(pub &'static str);

/// A file of weights.
pub(super) struct SafeTensors<'a> {
    table: HashMap<String, Entry>,
    data: &'a [u8],
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    dtype: String,
    #[serde(default)]
    shape: Vec<usize>,
    #[serde(default)]
    data_offsets: (usize, usize),
}

impl<'a> SafeTensors<'a> {
    /// Reads the table.
    pub fn new(file: &'a [u8]) -> Result<Self, Unfit> {
        const NO: Unfit = Unfit("it is no safetensors file");
        let (length, rest) = file.split_first_chunk::<8>().ok_or(NO)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| NO)?;
        if length > MAX_TABLE {
            return Err(NO);
        }
        let (table, data) = rest.split_at_checked(length).ok_or(NO)?;
        let mut table: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(table).map_err(|_| NO)?;
        table.remove("__metadata__");
        let entries = table.into_iter().map(|(name, entry)| {
            serde_json::from_value(entry).map(|entry| (name, entry)).map_err(|_| NO)
        });
        Ok(Self { table: entries.collect::<Result<_, _>>()?, data })
    }

    /// The numbers of a matrix, row by row, or of a list where `rows` is none and it has one
    /// dimension.
    pub fn tensor(
        &self,
        name: &str,
        rows: Option<usize>,
        columns: usize,
    ) -> Result<Vec<f32>, Unfit> {
        let entry = self.table.get(name).ok_or(Unfit("it lacks weights of the model"))?;
        let shape = match *entry.shape {
            [count] => rows.is_none() && count == columns,
            [count, width] => rows.is_none_or(|rows| rows == count) && width == columns,
            _ => false,
        };
        if !shape || entry.dtype != "F32" {
            return Err(Unfit("its weights are of another form"));
        }
        let (begin, end) = entry.data_offsets;
        let bytes = self.data.get(begin..end).ok_or(Unfit("it ends too early"))?;
        let count: usize = entry.shape.iter().product();
        if bytes.len() != count * 4 {
            return Err(Unfit("its weights are of another form"));
        }
        Ok(bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(table: &str, data: &[u8]) -> Vec<u8> {
        let mut file = (table.len() as u64).to_le_bytes().to_vec();
        file.extend(table.as_bytes());
        file.extend(data);
        file
    }

    #[test]
    fn numbers_are_read_and_forms_checked() {
        let table = r#"{"__metadata__":{"format":"pt"},
            "a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},
            "far":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},
            "odd":{"dtype":"F32","shape":[2],"data_offsets":[8,4]},
            "half":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}"#;
        let bytes = file(table, &[0, 0, 128, 63, 0, 0, 0, 64]);
        let tensors = SafeTensors::new(&bytes).unwrap();
        assert_eq!(tensors.tensor("a", Some(1), 2).unwrap(), [1.0, 2.0]);
        assert_eq!(tensors.tensor("a", None, 2).unwrap(), [1.0, 2.0]);
        for (name, rows, columns) in [
            ("a", Some(2), 1),
            ("far", None, 2),
            ("odd", None, 2),
            ("half", None, 2),
            ("b", None, 2),
        ] {
            assert!(tensors.tensor(name, rows, columns).is_err(), "{name}");
        }
    }

    #[test]
    fn other_files_are_refused() {
        for bytes in [&b""[..], b"12345678", &file("[]", b""), &file("{\"a\":1}", b"")] {
            assert!(SafeTensors::new(bytes).is_err());
        }
        let mut long = u64::MAX.to_le_bytes().to_vec();
        long.extend([0; 32]);
        assert!(SafeTensors::new(&long).is_err());
    }
}
