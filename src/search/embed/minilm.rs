//! all-MiniLM-L6-v2 in this process: a small model of the BERT family that makes vectors of
//! sentences, so that those that mean the same lie near one another.
//!
//! Six layers over 384 numbers for each piece of a word; the mean over the pieces, of length 1,
//! is the sentence's vector.

use pulp::Arch;

use super::dense::Dense;
use super::safetensors::{SafeTensors, Unfit};
use super::wordpiece::WordPiece;

/// Numbers of a vector.
pub const DIMENSIONS: usize = 384;
const LAYERS: usize = 6;
const HEADS: usize = 12;
const HEAD: usize = DIMENSIONS / HEADS;
const INNER: usize = 1536;
/// Most pieces of a text that are read; the model was made with no more.
const MOST: usize = 128;
/// What keeps a norm from dividing by nothing.
const TINY: f32 = 1e-12;

/// The model.
pub struct MiniLm {
    arch: Arch,
    pieces: WordPiece,
    /// A row for each piece.
    words: Vec<f32>,
    /// A row for each place in a text.
    places: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    bend: Bend,
}

impl std::fmt::Debug for MiniLm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MiniLm").finish_non_exhaustive()
    }
}

struct Layer {
    /// What a piece looks for, what it is found by, and what it says, side by side.
    attend: Dense,
    attended: Dense,
    attended_norm: Norm,
    widen: Dense,
    narrow: Dense,
    norm: Norm,
}

impl MiniLm {
    /// From the files of the model.
    ///
    /// # Errors
    /// When they are not those of this model.
    pub fn new(weights: &[u8], vocabulary: &str) -> Result<Self, Unfit> {
        let arch = Arch::new();
        let file = SafeTensors::new(weights)?;
        let pieces = WordPiece::new(vocabulary)
            .ok_or(Unfit("the vocabulary lacks [UNK], [CLS] or [SEP]"))?;
        let words = file.tensor("embeddings.word_embeddings.weight", None, DIMENSIONS)?;
        if pieces.last() as usize >= words.len() / DIMENSIONS {
            return Err(Unfit("the vocabulary has more pieces than the model"));
        }
        let mut places =
            file.tensor("embeddings.position_embeddings.weight", Some(512), DIMENSIONS)?;
        places.truncate(MOST * DIMENSIONS);
        // Every text is of the first kind.
        let kind = file.tensor("embeddings.token_type_embeddings.weight", Some(2), DIMENSIONS)?;
        for place in places.chunks_exact_mut(DIMENSIONS) {
            place.iter_mut().zip(&kind).for_each(|(place, kind)| *place += kind);
        }
        let norm = |name: String| -> Result<Norm, Unfit> {
            Ok(Norm {
                scale: file.tensor(&format!("{name}.weight"), None, DIMENSIONS)?,
                shift: file.tensor(&format!("{name}.bias"), None, DIMENSIONS)?,
            })
        };
        let dense = |names: &[String], inputs: usize, outputs: usize| -> Result<Dense, Unfit> {
            let (mut matrix, mut shift) = (Vec::new(), Vec::new());
            for name in names {
                matrix.extend(file.tensor(&format!("{name}.weight"), Some(outputs), inputs)?);
                shift.extend(file.tensor(&format!("{name}.bias"), None, outputs)?);
            }
            Ok(Dense::new(arch, &matrix, &shift, inputs))
        };
        let layer = |number: usize| -> Result<Layer, Unfit> {
            let name = |part: &str| format!("encoder.layer.{number}.{part}");
            let attend = ["query", "key", "value"].map(|p| name(&format!("attention.self.{p}")));
            Ok(Layer {
                attend: dense(&attend, DIMENSIONS, DIMENSIONS)?,
                attended: dense(&[name("attention.output.dense")], DIMENSIONS, DIMENSIONS)?,
                attended_norm: norm(name("attention.output.LayerNorm"))?,
                widen: dense(&[name("intermediate.dense")], DIMENSIONS, INNER)?,
                narrow: dense(&[name("output.dense")], INNER, DIMENSIONS)?,
                norm: norm(name("output.LayerNorm"))?,
            })
        };
        Ok(Self {
            arch,
            pieces,
            words,
            places,
            norm: norm("embeddings.LayerNorm".to_owned())?,
            layers: (0..LAYERS).map(layer).collect::<Result<_, _>>()?,
            bend: Bend::new(),
        })
    }

    /// Vectors of texts, in their order, each of length 1.
    pub fn vectors(&self, texts: &[&str]) -> Vec<Vec<f32>> {
        let pieces: Vec<Vec<u32>> = texts.iter().map(|t| self.pieces.pieces(t, MOST)).collect();
        let rows: usize = pieces.iter().map(Vec::len).sum();
        let mut state = Vec::with_capacity(rows * DIMENSIONS);
        for text in &pieces {
            for (piece, place) in text.iter().zip(self.places.chunks_exact(DIMENSIONS)) {
                let begin = *piece as usize * DIMENSIONS;
                let word = self.words.get(begin..begin + DIMENSIONS).unwrap_or_default();
                state.extend(word.iter().zip(place).map(|(word, place)| word + place));
            }
        }
        self.norm.apply(&mut state);
        let lengths: Vec<usize> = pieces.iter().map(Vec::len).collect();
        let (mut wide, mut narrow, mut mixed) = (Vec::new(), Vec::new(), Vec::new());
        for layer in &self.layers {
            layer.attend.of(self.arch, &state, &mut wide);
            mixed.clear();
            mixed.resize(state.len(), 0.0);
            let (mut wide_rest, mut mixed_rest) = (&wide[..], &mut mixed[..]);
            for length in &lengths {
                let (wide, rest) = wide_rest.split_at(length * DIMENSIONS * 3);
                wide_rest = rest;
                let (mixed, rest) =
                    std::mem::take(&mut mixed_rest).split_at_mut(length * DIMENSIONS);
                mixed_rest = rest;
                self.arch.dispatch(|| attend(wide, mixed));
            }
            layer.attended.of(self.arch, &mixed, &mut narrow);
            add(&mut state, &narrow);
            layer.attended_norm.apply(&mut state);
            layer.widen.of(self.arch, &state, &mut wide);
            wide.iter_mut().for_each(|value| *value = self.bend.of(*value));
            layer.narrow.of(self.arch, &wide, &mut narrow);
            add(&mut state, &narrow);
            layer.norm.apply(&mut state);
        }
        let mut rest = &state[..];
        let mut mean = |length: &usize| {
            let (rows, behind) = rest.split_at(length * DIMENSIONS);
            rest = behind;
            let mut sum = vec![0.0; DIMENSIONS];
            rows.chunks_exact(DIMENSIONS).for_each(|row| add(&mut sum, row));
            super::unit(&mut sum);
            sum
        };
        lengths.iter().map(&mut mean).collect()
    }
}

fn add(to: &mut [f32], what: &[f32]) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += what);
}

/// What each piece of a text takes from the others: `wide` has of each what it looks for, what it is
/// found by and what it says.
#[inline(always)]
fn attend(wide: &[f32], mixed: &mut [f32]) {
    let scale = 1.0 / (HEAD as f32).sqrt();
    let part = |row: &[f32], which: usize, head: usize| -> [f32; HEAD] {
        let begin = which * DIMENSIONS + head * HEAD;
        row.get(begin..begin + HEAD).and_then(|p| p.try_into().ok()).unwrap_or([0.0; HEAD])
    };
    let rows = wide.len() / (DIMENSIONS * 3);
    let mut shares = vec![0.0_f32; rows];
    let (mut keys, mut values) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
    for head in 0..HEADS {
        keys.clear();
        keys.extend(wide.chunks_exact(DIMENSIONS * 3).map(|row| part(row, 1, head)));
        values.clear();
        values.extend(wide.chunks_exact(DIMENSIONS * 3).map(|row| part(row, 2, head)));
        let asked = wide.chunks_exact(DIMENSIONS * 3).map(|row| part(row, 0, head));
        for (asked, mixed) in asked.zip(mixed.chunks_exact_mut(DIMENSIONS)) {
            let mut most = f32::MIN;
            for (share, key) in shares.iter_mut().zip(&keys) {
                // Eight sums side by side, so that they fit a register.
                let mut sums = [0.0_f32; 8];
                for (a, b) in asked.as_chunks::<8>().0.iter().zip(key.as_chunks::<8>().0) {
                    sums.iter_mut().zip(a.iter().zip(b)).for_each(|(s, (a, b))| *s += a * b);
                }
                *share = sums.iter().sum::<f32>() * scale;
                most = most.max(*share);
            }
            let mut sum = 0.0;
            for share in &mut shares {
                *share = (*share - most).exp();
                sum += *share;
            }
            let mut said = [0.0_f32; HEAD];
            for (share, value) in shares.iter().zip(&values) {
                said.iter_mut().zip(value).for_each(|(said, value)| *said += share * value);
            }
            let place = mixed.iter_mut().skip(head * HEAD);
            place.zip(said).for_each(|(place, said)| *place = said / sum);
        }
    }
}

struct Norm {
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl Norm {
    /// Makes the mean of each row 0 and its spread 1, then scales and shifts.
    fn apply(&self, rows: &mut [f32]) {
        for row in rows.chunks_exact_mut(DIMENSIONS) {
            let mean = row.iter().sum::<f32>() / DIMENSIONS as f32;
            let spread = row.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>();
            let factor = 1.0 / (spread / DIMENSIONS as f32 + TINY).sqrt();
            for (value, (scale, shift)) in row.iter_mut().zip(self.scale.iter().zip(&self.shift)) {
                *value = (*value - mean) * factor * scale + shift;
            }
        }
    }
}

/// The function between two layers (GELU), from a table: it is needed for every number of the
/// widest layer.
struct Bend(Vec<f32>);

impl Bend {
    /// Beyond this it is as good as 0 or the value itself.
    const END: f32 = 6.0;
    const STEPS: f32 = 512.0;

    fn new() -> Self {
        let count = (2.0 * Self::END * Self::STEPS) as usize + 2;
        let value = |at: usize| at as f64 / f64::from(Self::STEPS) - f64::from(Self::END);
        let bend = |x: f64| 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2));
        Self((0..count).map(|at| bend(value(at)) as f32).collect())
    }

    #[inline]
    fn of(&self, x: f32) -> f32 {
        if x >= Self::END {
            return x;
        }
        // Not a number goes here too.
        if x.is_nan() || x <= -Self::END {
            return 0.0;
        }
        let at = (x + Self::END) * Self::STEPS;
        let (low, part) = (at as usize, at.fract());
        match self.0.get(low..low + 2) {
            Some([a, b]) => a + (b - a) * part,
            _ => x,
        }
    }
}

/// The error function, by its series: exact enough where it is used, up to 6 / √2.
fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        let n = f64::from(n);
        term *= -x * x / n;
        sum += term / (2.0 * n + 1.0);
    }
    (sum * 2.0 / std::f64::consts::PI.sqrt()).clamp(-1.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_function() {
        let bend = Bend::new();
        for (x, wanted) in [
            (0.0, 0.0),
            (1.0, 0.841_344_8),
            (-1.0, -0.158_655_2),
            (2.5, 2.484_475_8),
            (-3.0, -0.004_049_7),
            (9.0, 9.0),
            (-9.0, 0.0),
        ] {
            assert!((bend.of(x) - wanted).abs() < 2e-5, "{x}: {}", bend.of(x));
        }
        assert_eq!(bend.of(f32::NAN), 0.0);
        assert!((erf(0.5) - 0.520_499_877_8).abs() < 1e-9);
    }

    #[test]
    fn other_files_are_no_model() {
        assert!(MiniLm::new(b"", "").is_err());
        assert!(MiniLm::new(&[0xff; 64], "[UNK]\n[CLS]\n[SEP]").is_err());
    }
}
