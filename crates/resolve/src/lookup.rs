//! System lookups with a deadline, on a few helper threads.
//!
//! `getaddrinfo(3)` takes no timeout and can't be interrupted, so it runs on a
//! thread that the caller does not wait for beyond its deadline. Where no thread can be
//! started, a caller runs it itself. What keeps that bounded:
//!
//! * at most [`max_threads`](crate::LookupSettings::max_threads) questions are with
//!   the system resolver at once; further ones queue, first come first served;
//! * a question that is queued, or has begun within
//!   [`join_within`](crate::LookupSettings::join_within) and under the same
//!   configuration of the resolver, is joined, not asked again;
//! * dropping a [`Lookup`] cancels it: a queued question that has no lookup left
//!   leaves the queue, a late answer is dropped;
//! * a thread with nothing to do ends after [`idle`](crate::LookupSettings::idle).
//!
//! Nothing is cached: how long an answer is valid is known to the system only.
//!
//! A failed allocation is an error of the lookup; it never ends the process.
//!
//! The helper threads do not survive `fork(2)`, and a lock may be held at that
//! moment: a child process must not use a [`Resolver`] of its parent.
//! [`Resolver::global`] gives each process one of its own. The threads inherit
//! the signal mask of the thread that calls [`Resolver::lookup`], unless the program
//! starts them itself ([`Spawn`]).

use std::fmt;
use std::net::SocketAddr;
use std::sync::OnceLock;

use crate::addr::{Family, FamilySet};
use crate::alloc;
use crate::pool::{Resolver, Spawn, Wake, spawn};
use crate::system::{Found, LookupError, NameService};

impl Resolver {
    /// A pool that asks a name service. Starts no thread yet.
    #[must_use]
    pub fn new(service: &'static dyn NameService) -> Self {
        Self::with_threads(service, spawn)
    }

    /// The pool that the whole process shares; `spawn` starts its threads. The
    /// arguments of the first call count. A process that was forked has its own.
    ///
    /// # Errors
    ///
    /// [`LookupError::System`] when a process that was forked has no memory for
    /// it.
    pub fn global(
        service: &'static dyn NameService,
        spawn: Spawn,
    ) -> Result<&'static Resolver, LookupError> {
        static FIRST: OnceLock<OfProcess> = OnceLock::new();
        let own = std::process::id();
        let new = || OfProcess {
            id: own,
            resolver: Self::with_threads(service, spawn),
            child: OnceLock::new(),
        };
        let mut of_process = FIRST.get_or_init(new);
        while of_process.id != own {
            if let Some(child) = of_process.child.get().and_then(|one| one.first()) {
                of_process = child;
                continue;
            }
            let mut child = Vec::new();
            child.try_reserve_exact(1)?;
            child.push(new());
            // Another thread may have been faster.
            let _ = of_process.child.set(child);
        }
        Ok(&of_process.resolver)
    }

    /// Asks for the addresses of `name`, of each of the families.
    ///
    /// A name that the machine knows by itself (see [`NameService::local`]) is
    /// answered at once. Otherwise a question is queued, or joined if it has just
    /// been asked. Then `waker` is called when its answer is there, perhaps
    /// before this returns. So poll once after this call.
    ///
    /// # Errors
    ///
    /// Memory has run out, with [`LookupError::System`].
    pub fn lookup(
        &'static self,
        name: &str,
        families: FamilySet,
        waker: Box<dyn Wake>,
    ) -> Result<Lookup, LookupError> {
        let local = self.service.local(name, families)?;
        let lookup = Lookup {
            resolver: self,
            id: self.enter(waker)?,
            open: families,
        };
        for family in families.iter() {
            if local.is_empty() {
                self.ask(lookup.id, name, family);
            } else {
                self.answer(lookup.id, family, of_family(&local, family));
            }
        }
        Ok(lookup)
    }
}

#[inline(never)]
fn of_family(addrs: &[SocketAddr], family: Family) -> Found {
    let mut found = Vec::new();
    for addr in addrs.iter().filter(|addr| Family::of(addr) == family) {
        alloc::push(&mut found, *addr)?;
    }
    if found.is_empty() {
        return Err(LookupError::NoAddress);
    }
    Ok(found)
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("load", &self.load())
            .finish_non_exhaustive()
    }
}

/// The shared pool of a process, and that of the process it forked into: one, or
/// none.
struct OfProcess {
    id: u32,
    resolver: Resolver,
    child: OnceLock<Vec<OfProcess>>,
}

/// Questions about one name and the wait for their answers; dropping it cancels
/// the wait, and the waker is dropped before that returns.
#[derive(Debug)]
pub struct Lookup {
    resolver: &'static Resolver,
    /// As a waiter of the questions.
    id: u64,
    open: FamilySet,
}

impl Lookup {
    /// The families whose answers are still to come from [`poll`](Self::poll).
    #[must_use]
    pub fn open(&self) -> FamilySet {
        self.open
    }

    /// The next answer, if one is there; each comes once.
    pub fn poll(&mut self) -> Option<(Family, Found)> {
        let mut open = self.open.iter();
        let answer =
            open.find_map(|family| Some((family, self.resolver.take(self.id, family)?)))?;
        self.open.remove(answer.0);
        Some(answer)
    }

    /// Whether the question has reached the system resolver, or an older one of
    /// the same name is still with it.
    #[must_use]
    pub fn started(&self, family: Family) -> bool {
        self.resolver.started(self.id, family)
    }

    /// Stops waiting for the family, whose deadline has passed. Returns
    /// [`LookupError::TimedOut`], or [`LookupError::Busy`] if the question has not
    /// [`started`](Self::started).
    pub fn give_up(&mut self, family: Family) -> LookupError {
        self.open.remove(family);
        if self.started(family) {
            LookupError::TimedOut
        } else {
            LookupError::Busy
        }
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        self.resolver.cancel(self.id);
    }
}
