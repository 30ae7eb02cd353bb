//! Products of matrices, with the widest registers that the machine has.

use pulp::{Arch, Simd, WithSimd};

/// Registers that one row of a product takes.
const REGISTERS: usize = 2;

/// Rows that are made at once: with them all sums stay in registers.
const ROWS: usize = 6;

/// A layer: what comes in times a matrix, plus something.
///
/// The matrix is kept in panels: as many outputs as fit into two registers, input by input.
pub(super) struct Dense {
    panels: Vec<f32>,
    shift: Vec<f32>,
    inputs: usize,
    outputs: usize,
    width: usize,
}

impl Dense {
    /// From a matrix of a row for each output.
    pub fn new(arch: Arch, matrix: &[f32], shift: &[f32], inputs: usize) -> Self {
        let (outputs, width) = (shift.len(), arch.dispatch(Width));
        let mut panels = vec![0.0; outputs.div_ceil(width) * width * inputs];
        for (output, row) in matrix.chunks_exact(inputs).enumerate() {
            let (panel, lane) = (output / width, output % width);
            let places = panels.iter_mut().skip(panel * width * inputs + lane).step_by(width);
            for (place, value) in places.zip(row) {
                *place = *value;
            }
        }
        let mut shift = shift.to_vec();
        shift.resize(outputs.div_ceil(width) * width, 0.0);
        Self { panels, shift, inputs, outputs, width }
    }

    /// Outputs for rows of inputs.
    pub fn of(&self, arch: Arch, rows: &[f32], out: &mut Vec<f32>) {
        out.clear();
        out.resize(rows.len() / self.inputs * self.outputs, 0.0);
        arch.dispatch(Product { dense: self, rows, out });
    }
}

struct Width;

impl WithSimd for Width {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        S::F32_LANES * REGISTERS
    }
}

struct Product<'a> {
    dense: &'a Dense,
    rows: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { dense, rows, out } = self;
        let blocks = rows.chunks(ROWS * dense.inputs).zip(out.chunks_mut(ROWS * dense.outputs));
        // The rows of a block side by side, input by input.
        let mut turned = Vec::new();
        for (rows, out) in blocks {
            match rows.len() / dense.inputs {
                1 => block::<S, 1>(simd, dense, rows, &mut turned, out),
                2 => block::<S, 2>(simd, dense, rows, &mut turned, out),
                3 => block::<S, 3>(simd, dense, rows, &mut turned, out),
                4 => block::<S, 4>(simd, dense, rows, &mut turned, out),
                5 => block::<S, 5>(simd, dense, rows, &mut turned, out),
                _ => block::<S, ROWS>(simd, dense, rows, &mut turned, out),
            }
        }
    }
}

#[inline(always)]
fn block<S: Simd, const M: usize>(
    simd: S,
    dense: &Dense,
    rows: &[f32],
    turned: &mut Vec<f32>,
    out: &mut [f32],
) {
    turned.clear();
    turned.resize(M * dense.inputs, 0.0);
    for (at, row) in rows.chunks_exact(dense.inputs).enumerate() {
        for (place, value) in turned.iter_mut().skip(at).step_by(M).zip(row) {
            *place = *value;
        }
    }
    let (turned, _) = turned.as_chunks::<M>();
    let panels = dense.panels.chunks_exact(dense.width * dense.inputs);
    for (at, (panel, shift)) in panels.zip(dense.shift.chunks_exact(dense.width)).enumerate() {
        let (panel, _) = S::as_simd_f32s(panel);
        let (panel, _) = panel.as_chunks::<REGISTERS>();
        let (shift, _) = S::as_simd_f32s(shift);
        let mut sums = [[simd.splat_f32s(0.0); REGISTERS]; M];
        for (inputs, weights) in turned.iter().zip(panel) {
            for (sums, input) in sums.iter_mut().zip(inputs) {
                let input = simd.splat_f32s(*input);
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum = simd.mul_add_e_f32s(input, *weight, *sum);
                }
            }
        }
        let begin = at * dense.width;
        let end = dense.outputs.min(begin + dense.width);
        for (out, sums) in out.chunks_exact_mut(dense.outputs).zip(&sums) {
            let Some(out) = out.get_mut(begin..end) else { continue };
            let (whole, _) = S::as_mut_simd_f32s(out);
            for (place, (sum, shift)) in whole.iter_mut().zip(sums.iter().zip(shift)) {
                *place = simd.add_f32s(*sum, *shift);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_those_of_the_plain_way() {
        let (inputs, outputs) = (5, 64);
        let value = |at: usize| ((at * 37 + 11) % 17) as f32 / 8.0 - 1.0;
        let matrix: Vec<f32> = (0..inputs * outputs).map(value).collect();
        let shift: Vec<f32> = (0..outputs).map(value).collect();
        let dense = Dense::new(Arch::new(), &matrix, &shift, inputs);
        for count in [1, 2, 3, 4, 5, 6, 7, 13] {
            let rows: Vec<f32> = (0..inputs * count).map(|at| value(at + 5)).collect();
            let mut out = vec![9.0];
            dense.of(Arch::new(), &rows, &mut out);
            assert_eq!(out.len(), count * outputs);
            for (row, out) in rows.chunks(inputs).zip(out.chunks(outputs)) {
                for (at, out) in out.iter().enumerate() {
                    let weights = &matrix[at * inputs..(at + 1) * inputs];
                    let sum: f32 = row.iter().zip(weights).map(|(a, b)| a * b).sum();
                    assert!((sum + shift[at] - out).abs() < 1e-4);
                }
            }
        }
    }
}
