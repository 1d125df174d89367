//! System lookups with a deadline, on a few helper threads.
//!
//! `getaddrinfo(3)` takes no timeout and can't be interrupted, so it runs on a
//! thread that the caller does not wait for beyond its deadline. What keeps that
//! bounded:
//!
//! * at most [`LookupSettings::max_threads`] questions are with the system
//!   resolver at once; further ones queue, first come first served;
//! * a question that is queued, or has begun within
//!   [`LookupSettings::join_within`] and under the same configuration of the
//!   resolver, is joined, not asked again;
//! * dropping a [`Lookup`] cancels it: a queued question that has no lookup left
//!   leaves the queue, a late answer is dropped;
//! * a thread with nothing to do ends after [`LookupSettings::idle`].
//!
//! Nothing is cached: how long an answer is valid is known to the system only.
//!
//! The helper threads do not survive `fork(2)`, and a lock may be held at that
//! moment: a child process must not use a [`Resolver`] of its parent.
//! [`Resolver::global`] gives each process one of its own. The threads inherit
//! the signal mask of the thread that calls [`Resolver::lookup`], unless the program
//! starts them itself ([`Spawn`]).

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::addr::Family;
use crate::pool::{Answer, Load, LookupSettings, Pool, Question, Spawn, Wake, spawn};
use crate::system::{LookupError, NameService, System};

/// A handle to a pool of helper threads; clones share the pool. All methods may
/// be called from all threads, and none waits for a lookup.
///
/// ```
/// use std::sync::Arc;
/// use std::time::{Duration, Instant};
/// use anjay_net_resolve::{Family, LookupSettings, Resolver};
///
/// let resolver = Resolver::new(LookupSettings::default());
/// let deadline = Instant::now() + Duration::from_secs(10);
/// for lookup in resolver.lookup("localhost", [Family::V4], Arc::new(|| println!("answered"))) {
///     let addrs = lookup.wait_until(deadline)?;
///     assert!(addrs[0].ip().is_loopback());
/// }
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
        Self::with_service(settings, System)
    }

    /// A pool that asks another name service.
    #[must_use]
    pub fn with_service(settings: LookupSettings, service: impl NameService + 'static) -> Self {
        Resolver {
            pool: Arc::new(Pool::new(settings, Arc::new(service), spawn)),
        }
    }

    /// The pool that the whole process shares, with default settings at first.
    /// `spawn` starts its threads; that of the first call counts. A process that
    /// was forked has its own, with the settings of its parent.
    #[must_use]
    pub fn global(spawn: Spawn) -> &'static Resolver {
        static FIRST: OnceLock<OfProcess> = OnceLock::new();
        let own = std::process::id();
        let first = || Pool::new(LookupSettings::default(), Arc::new(System), spawn);
        let mut of_process = FIRST.get_or_init(|| OfProcess::new(own, first()));
        while of_process.id != own {
            let next = || OfProcess::new(own, of_process.resolver.pool.successor());
            of_process = of_process.child.get_or_init(|| Box::new(next()));
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

    /// Asks for the addresses of `name`: one lookup for each of the families, in
    /// their order.
    ///
    /// A name that the machine knows by itself (see [`NameService::local`]) is
    /// answered at once. Otherwise a question is queued, or joined if it has just
    /// been asked. Then `waker` is called when its answer is there, perhaps
    /// before this returns and, if the lookup is dropped at that moment, perhaps
    /// just after that. So poll once after this call.
    #[must_use = "dropping a lookup cancels it"]
    pub fn lookup(
        &self,
        name: &str,
        families: impl IntoIterator<Item = Family>,
        waker: Arc<dyn Wake>,
    ) -> Vec<Lookup> {
        let families: Vec<_> = families.into_iter().collect();
        let local = self.pool.service().local(name, &families);
        let lookup = |family: &Family| {
            let (question, id) = if local.is_empty() {
                self.pool.join(name, *family, Arc::clone(&waker))
            } else {
                let of_family = local.iter().filter(|addr| Family::of(addr) == *family);
                (Question::answered(name, *family, of_family), 0)
            };
            Lookup {
                pool: Arc::clone(&self.pool),
                question,
                id,
            }
        };
        families.iter().map(lookup).collect()
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
    fn new(id: u32, pool: Pool) -> OfProcess {
        OfProcess {
            id,
            resolver: Resolver {
                pool: Arc::new(pool),
            },
            child: OnceLock::new(),
        }
    }
}

/// A question and the wait for its answer; dropping it cancels the wait.
pub struct Lookup {
    pool: Arc<Pool>,
    question: Arc<Question>,
    /// As a waiter of the question.
    id: u64,
}

impl Lookup {
    /// The family that was asked for.
    #[must_use]
    pub fn family(&self) -> Family {
        self.question.family
    }

    /// The answer, if it is there. Takes no lock.
    #[must_use]
    pub fn poll(&self) -> Option<Answer> {
        self.question.answer()
    }

    /// Whether the question has reached the system resolver, or an older one of
    /// the same name is still with it.
    #[must_use]
    pub fn started(&self) -> bool {
        self.pool.started(&self.question)
    }

    /// When the question was first asked, perhaps by another lookup.
    #[must_use]
    pub fn asked_at(&self) -> Instant {
        self.question.asked_at
    }

    /// The error of a caller whose time is up: [`LookupError::TimedOut`], or
    /// [`LookupError::Busy`] if the question has not [`started`](Self::started).
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
        self.pool.cancel(&self.question, self.id);
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
