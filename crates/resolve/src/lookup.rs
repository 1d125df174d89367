//! System lookups with a deadline, on a few helper threads.
//!
//! `getaddrinfo(3)` can't be told how long to take and can't be interrupted, so
//! it runs on a thread that nobody waits for. What keeps that bounded:
//!
//! * at most [`LookupSettings::max_threads`] questions are with the system
//!   resolver at once; further ones queue, first come first served;
//! * a question that is already queued or running is joined, not asked again;
//! * who stops caring drops the [`Lookup`]: a queued question that nobody cares
//!   about leaves the queue, a late answer is dropped;
//! * a thread with nothing to do ends after [`LookupSettings::idle`].
//!
//! Nothing is cached: how long an answer holds is the business of the system.
//!
//! The helper threads do not survive `fork(2)`, and a lock may be held at that
//! moment: a child process must not use a [`Resolver`] of its parent.
//! [`Resolver::global`] gives each process one of its own. The threads inherit
//! the signal mask of the thread that calls [`Resolver::lookup`].

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::policy::Family;
use crate::pool::{Pool, Question};
use crate::query::{self, Found, LookupError};

/// What a lookup comes to: addresses with port 0, at least one, in the order of
/// the system resolver.
pub type Answer = Result<Arc<[SocketAddr]>, LookupError>;

/// Told that a [`Lookup`] has its answer. Closures are wakers, too.
pub trait Wake: Send + Sync {
    /// Called once, usually on a helper thread, so it must be quick: set a flag,
    /// notify, write to a pipe.
    fn wake(&self);
}

impl<F: Fn() + Send + Sync> Wake for F {
    fn wake(&self) {
        self();
    }
}

/// Limits of a [`Resolver`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LookupSettings {
    /// Most helper threads at once, which is most unfinished lookups; 0 counts
    /// as 1. Default 8: four names, each asked for both families.
    pub max_threads: usize,
    /// How long a thread waits for more work before it ends. Default 1 s: a
    /// thread is cheap beside a lookup.
    pub idle: Duration,
}

impl Default for LookupSettings {
    fn default() -> Self {
        LookupSettings {
            max_threads: 8,
            idle: Duration::from_secs(1),
        }
    }
}

/// How busy a [`Resolver`] is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Load {
    /// Helper threads alive, busy or idle.
    pub threads: usize,
    /// Questions with the system resolver, also those nobody cares about anymore.
    pub running: usize,
    /// Questions waiting for a thread.
    pub queued: usize,
}

/// A handle to a pool of helper threads; clones share the pool. All methods may
/// be called from all threads, and none waits for a lookup.
///
/// ```
/// use std::sync::Arc;
/// use std::time::{Duration, Instant};
/// use anjay_net_resolve::{Family, Resolver};
///
/// let resolver = Resolver::global();
/// let lookup = resolver.lookup("localhost", Family::V4, Arc::new(|| println!("answered")));
/// let addrs = lookup.wait_until(Instant::now() + Duration::from_secs(10))?;
/// assert!(addrs[0].ip().is_loopback());
/// # Ok::<(), anjay_net_resolve::LookupError>(())
/// ```
#[derive(Clone)]
pub struct Resolver {
    pool: Arc<Pool>,
}

impl Resolver {
    /// A pool of its own, asking the system resolver. Starts no thread yet.
    #[must_use]
    pub fn new(settings: LookupSettings) -> Self {
        Self::with_query(settings, query::system)
    }

    /// A pool that asks `query` instead of the system resolver; it may block.
    #[must_use]
    pub fn with_query(
        settings: LookupSettings,
        query: impl Fn(&str, Family) -> Found + Send + Sync + 'static,
    ) -> Self {
        Resolver {
            pool: Arc::new(Pool::new(settings, Box::new(query))),
        }
    }

    /// The pool that the whole process shares, with default settings at first.
    /// A process that was forked has its own, with those of its parent.
    #[must_use]
    pub fn global() -> &'static Resolver {
        static FIRST: OnceLock<OfProcess> = OnceLock::new();
        let own = std::process::id();
        let mut of_process = FIRST.get_or_init(|| OfProcess::new(own, LookupSettings::default()));
        while of_process.id != own {
            let next = || {
                let settings = of_process.resolver.pool.settings_unless_locked();
                Box::new(OfProcess::new(own, settings.unwrap_or_default()))
            };
            of_process = of_process.child.get_or_init(next);
        }
        &of_process.resolver
    }

    /// Changes the limits from the next lookup on. Lookups under way are left
    /// alone, even if they are more than now allowed.
    pub fn configure(&self, settings: LookupSettings) {
        self.pool.configure(settings);
    }

    /// How busy the pool is now.
    #[must_use]
    pub fn load(&self) -> Load {
        self.pool.load()
    }

    /// Asks for the addresses of `name`, or joins who already does.
    ///
    /// `waker` is called once when the answer is there, perhaps before this
    /// returns and, if the lookup is dropped at that moment, perhaps just after
    /// that. Poll once after this call; there may be an answer already.
    #[must_use = "dropping a lookup cancels it"]
    pub fn lookup(&self, name: &str, family: Family, waker: Arc<dyn Wake>) -> Lookup {
        let (question, id) = self.pool.enlist(name, family, waker);
        Lookup {
            pool: Arc::clone(&self.pool),
            question,
            id,
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("load", &self.load())
            .finish_non_exhaustive()
    }
}

/// The shared pool of a process, and that of the process it forked into.
struct OfProcess {
    id: u32,
    resolver: Resolver,
    child: OnceLock<Box<OfProcess>>,
}

impl OfProcess {
    fn new(id: u32, settings: LookupSettings) -> OfProcess {
        OfProcess {
            id,
            resolver: Resolver::new(settings),
            child: OnceLock::new(),
        }
    }
}

/// Interest in the answer to one question; dropping it ends the interest.
pub struct Lookup {
    pool: Arc<Pool>,
    question: Arc<Question>,
    id: u64,
}

impl Lookup {
    /// The answer, if it is there. Takes no lock.
    #[must_use]
    pub fn poll(&self) -> Option<Answer> {
        self.question.answer()
    }

    /// Whether the question has reached the system resolver.
    #[must_use]
    pub fn started(&self) -> bool {
        self.pool.started(&self.question)
    }

    /// When the question was first asked, perhaps by somebody else.
    #[must_use]
    pub fn asked_at(&self) -> Instant {
        self.question.asked_at
    }

    /// The error of a caller whose time is up: [`LookupError::TimedOut`], or
    /// [`LookupError::Busy`] if the question never reached the system resolver.
    #[must_use]
    pub fn overdue(&self) -> LookupError {
        if self.started() {
            LookupError::TimedOut
        } else {
            LookupError::Busy
        }
    }

    /// Blocks until the answer is there, but not beyond `deadline`.
    ///
    /// # Errors
    ///
    /// Those of the answer, and [`overdue`](Self::overdue).
    pub fn wait_until(&self, deadline: Instant) -> Answer {
        self.pool.wait_until(&self.question, deadline);
        self.poll().unwrap_or_else(|| Err(self.overdue()))
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        self.pool.withdraw(&self.question, self.id);
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookup")
            .field("name", &self.question.name)
            .field("family", &self.question.family)
            .field("answer", &self.poll())
            .finish_non_exhaustive()
    }
}
