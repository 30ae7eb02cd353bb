//! Every order of things that can happen to an account: random sequences of calls, browsers that
//! come back, answers of the provider, time and crashes, against a model of what the documentation
//! says. docs/TESTING.md has more.

mod lab;
mod model;
mod run;
mod slow;

use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, RngAlgorithm, TestRng, TestRunner};

use self::lab::Lab;
use super::provider::Point;
use super::seed::seed;

/// How the provider takes the next token request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Luck {
    Good,
    /// It refuses for good.
    Refused,
    /// It is overloaded.
    Down,
    /// It issues tokens, and the answer gets lost.
    Lost,
}

/// With what a browser comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Back {
    Code,
    WrongCode,
    Denied,
    Nothing,
}

/// Something that asks the provider, and can be held up there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slow {
    Refresh,
    Execute,
    Callback,
    /// The project's verifier completes an attempt.
    Complete,
}

impl Slow {
    /// Whether it exchanges a code.
    pub fn connects(self) -> bool {
        matches!(self, Self::Callback | Self::Complete)
    }
}

/// One step. Numbers choose among what there is, whatever its number.
#[derive(Clone, Debug)]
pub enum Op {
    Initiate,
    Link,
    Submit(usize),
    Callback(usize, Back, Luck),
    /// The project gets a verifier, or does without.
    Verify(bool),
    /// The verifier completes what a browser came back with, for its user or for another one.
    Complete {
        session: usize,
        is_user: bool,
        luck: Luck,
    },
    Forged,
    Disable,
    Enable,
    Refresh(Luck),
    Execute(Luck),
    Patch {
        refreshes: bool,
    },
    Alias,
    Delete,
    Revoke,
    /// The attempt takes too long; whether the worker has noticed.
    AttemptEnds(bool),
    TokenEnds,
    /// The provider ends the access token, or everything.
    AccessDies,
    GrantDies,
    /// While the first waits for the provider, the second happens.
    Race(Slow, Luck, Box<Op>),
    /// A server dies while it waits for the provider, or after that.
    Crash(Slow, Point),
}

/// A step, with the account that it is about and the server that is asked.
#[derive(Clone)]
pub struct Step {
    pub op: Op,
    pub account: usize,
    pub via: usize,
}

/// On one line, however it is asked for.
impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { op, account, via } = self;
        f.write_str(&format!("{op:?} account {account} via {via}"))
    }
}

fn luck() -> impl Strategy<Value = Luck> {
    prop_oneof![
        6 => Just(Luck::Good),
        2 => Just(Luck::Refused),
        2 => Just(Luck::Down),
        1 => Just(Luck::Lost),
    ]
}

fn slow() -> impl Strategy<Value = Slow> {
    prop_oneof![
        Just(Slow::Refresh),
        Just(Slow::Execute),
        Just(Slow::Callback),
        Just(Slow::Complete),
    ]
}

fn quick() -> impl Strategy<Value = Op> {
    let back = prop_oneof![
        8 => Just(Back::Code),
        1 => Just(Back::WrongCode),
        2 => Just(Back::Denied),
        1 => Just(Back::Nothing),
    ];
    let code_luck =
        || prop_oneof![9 => Just(Luck::Good), 1 => Just(Luck::Down), 1 => Just(Luck::Lost)];
    let complete = (any::<usize>(), prop::bool::weighted(0.8), code_luck());
    prop_oneof![
        1 => Just(Op::Initiate),
        1 => Just(Op::Link),
        2 => any::<usize>().prop_map(Op::Submit),
        6 => (any::<usize>(), back, code_luck()).prop_map(|(n, back, luck)| Op::Callback(n, back, luck)),
        2 => any::<bool>().prop_map(Op::Verify),
        7 => complete.prop_map(|(session, is_user, luck)| Op::Complete { session, is_user, luck }),
        1 => Just(Op::Forged),
        2 => Just(Op::Disable),
        3 => Just(Op::Enable),
        4 => luck().prop_map(Op::Refresh),
        4 => luck().prop_map(Op::Execute),
        2 => any::<bool>().prop_map(|refreshes| Op::Patch { refreshes }),
        1 => Just(Op::Alias),
        1 => Just(Op::Delete),
        2 => Just(Op::Revoke),
        2 => any::<bool>().prop_map(Op::AttemptEnds),
        4 => Just(Op::TokenEnds),
        2 => Just(Op::AccessDies),
        1 => Just(Op::GrantDies),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let point = prop_oneof![Just(Point::Asked), Just(Point::Issued), Just(Point::Answered)];
    let op = prop_oneof![
        60 => quick(),
        14 => (slow(), luck(), quick()).prop_map(|(s, l, op)| Op::Race(s, l, Box::new(op))),
        1 => (slow(), point).prop_map(|(s, p)| Op::Crash(s, p)),
    ];
    (op, 0..2usize, 0..2usize).prop_map(|(op, account, via)| Step { op, account, via })
}

/// Ways to where it gets interesting, which chance alone seldom finds.
fn beginning() -> impl Strategy<Value = Vec<Step>> {
    let first = |ops: Vec<Op>| ops.into_iter().map(|op| Step { op, account: 0, via: 0 }).collect();
    let connect = || Op::Callback(0, Back::Code, Luck::Good);
    // The second attempt's state: the first one's is used up.
    let connect_again = || Op::Callback(1, Back::Code, Luck::Good);
    let works = || vec![connect(), Op::Patch { refreshes: false }, Op::Refresh(Luck::Good)];
    let over = || vec![connect(), Op::Refresh(Luck::Refused), Op::Refresh(Luck::Good)];
    prop_oneof![
        Just(Vec::new()),
        Just(first(vec![connect()])),
        Just(first(vec![connect(), Op::TokenEnds])),
        // It works, and the person was sent to consent again.
        Just(first(works())),
        // It is over, and the person was sent to consent again.
        Just(first(over())),
        // The person came back, and the project's verifier has not decided yet.
        Just(first(vec![Op::Verify(true), connect()])),
        Just(first([over(), vec![Op::Verify(true), connect_again()]].concat())),
        Just(first([works(), vec![Op::Verify(true), connect_again()]].concat())),
    ]
}

/// A sequence, and whether the provider takes a refresh token twice.
fn sequence() -> impl Strategy<Value = (bool, Vec<Step>)> {
    let steps = (beginning(), prop::collection::vec(step(), 4..18));
    let steps = steps.prop_map(|(mut first, then)| {
        first.extend(then);
        first
    });
    (any::<bool>(), steps)
}

#[test]
fn no_order_of_events_brings_an_account_where_the_documentation_does_not() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let lab = runtime.block_on(Lab::new());
    let mut bytes = [0u8; 32];
    bytes[..8].copy_from_slice(&seed().to_le_bytes());
    let defaults = ProptestConfig::default();
    let config = ProptestConfig {
        cases: if std::env::var_os("PROPTEST_CASES").is_some() { defaults.cases } else { 40 },
        max_shrink_iters: 400,
        max_shrink_time: 25_000,
        source_file: Some(file!()),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..defaults
    };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    // Every try of the search for the shortest failure would be told.
    std::panic::set_hook(Box::new(|_| {}));
    let outcome = runner.run(&sequence(), |(window, steps)| {
        let run =
            std::panic::AssertUnwindSafe(|| runtime.block_on(run::case(&lab, window, &steps)));
        match std::panic::catch_unwind(run) {
            Ok(()) => Ok(()),
            Err(panic) => {
                runtime.block_on(lab.recover());
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
                Err(TestCaseError::fail(text.unwrap_or_default()))
            }
        }
    });
    let _ = std::panic::take_hook();
    drop(lab);
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
