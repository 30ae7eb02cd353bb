//! Chance that can be repeated: docs/TESTING.md.

use rand::SeedableRng;
use rand::rngs::StdRng;

/// The seed of this run: `PATCHBAY_TEST_SEED`, else a new one. It is printed, so that a failure
/// says it.
pub fn seed() -> u64 {
    let seed = match std::env::var("PATCHBAY_TEST_SEED") {
        Ok(text) => text.parse().expect("PATCHBAY_TEST_SEED is a number"),
        Err(_) => rand::random(),
    };
    println!("PATCHBAY_TEST_SEED={seed}");
    seed
}

/// One of several independent sources of a run.
pub fn source(seed: u64, number: u64) -> StdRng {
    StdRng::seed_from_u64(seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
}
