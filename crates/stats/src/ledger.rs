//! All counters of a process.

use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;
use parking_lot::Mutex;

use crate::outcomes::{ConnectTotals, Connects, LookupTotals, Lookups};
use crate::{Counters, Snapshot};

/// Counters are made this many at a time: so few that a process with one
/// socket does not pay for many.
const PAGE: usize = 8;

/// Hands out [`Counters`] and knows the sum of all of them.
///
/// Opening and dropping an account takes a short lock; counting takes none.
/// The memory of a dropped account is used again, so a process keeps as many
/// counters as it had sockets open at most.
pub struct Ledger {
    /// All connects.
    pub connects: Connects,
    /// All lookups of names.
    pub lookups: Lookups,
    books: Mutex<Books>,
}

struct Books {
    pages: Vec<&'static [Counters; PAGE]>,
    /// The numbers of counters that nobody holds: half the size of references.
    free: Vec<u32>,
    closed: Snapshot,
    /// The smallest number of counters that nobody held since the last page was
    /// added; then, nobody held none.
    free_at_least: usize,
    opened: u64,
}

impl Ledger {
    /// An empty ledger; meant for a `static`, as it never gives memory back.
    pub const fn new() -> Self {
        Ledger {
            connects: Connects::new(),
            lookups: Lookups::new(),
            books: Mutex::new(Books {
                pages: Vec::new(),
                free: Vec::new(),
                closed: Snapshot::ZERO,
                free_at_least: 0,
                opened: 0,
            }),
        }
    }

    fn open(&self) -> Option<&'static Counters> {
        let mut books = self.books.lock();
        let counters = match books.free.pop() {
            Some(number) => books.numbered(number)?,
            None => books.grow()?,
        };
        books.opened += 1;
        if books.free.len() < books.free_at_least {
            books.free_at_least = books.free.len();
        }
        Some(counters)
    }

    fn close(&self, counters: &'static Counters) {
        let mut books = self.books.lock();
        counters.move_into(&mut books.closed);
        books.free.push(counters.number);
    }

    /// The sums now, over the accounts that are open and those that were.
    ///
    /// An account that is dropped meanwhile is counted exactly once.
    pub fn totals(&self) -> Totals {
        let books = self.books.lock();
        let mut traffic = books.closed;
        // Counters that nobody holds are zero.
        for counters in books.pages.iter().copied().flatten() {
            traffic += counters.snapshot();
        }
        Totals {
            traffic,
            open_now: books.counters() - books.free.len(),
            open_at_most: books.counters() - books.free_at_least,
            opened: books.opened,
            connects: self.connects.snapshot(),
            lookups: self.lookups.snapshot(),
        }
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Ledger::new()
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.totals().fmt(f)
    }
}

impl Books {
    /// How many there are.
    fn counters(&self) -> usize {
        self.pages.len() * PAGE
    }

    fn numbered(&self, number: u32) -> Option<&'static Counters> {
        let number = number as usize;
        self.pages.get(number / PAGE)?.get(number % PAGE)
    }

    /// One more page; `None`, and nothing lost, when memory runs out.
    #[cold]
    fn grow(&mut self) -> Option<&'static Counters> {
        // Dropping an account must not allocate: room for all of them now, and
        // for some that are still to come, but not for twice as many.
        let before = self.counters();
        let all = before + PAGE;
        if self.free.capacity() < all {
            self.free.try_reserve_exact(all + all / 8).ok()?;
        }
        self.pages.try_reserve(1).ok()?;
        let numbers = u32::try_from(before).ok()?..u32::try_from(all).ok()?;
        let mut page = Vec::new();
        page.try_reserve_exact(PAGE).ok()?;
        page.extend(numbers.clone().map(Counters::numbered));
        let page: &'static [Counters; PAGE] = (&*page.leak()).try_into().ok()?;
        self.pages.push(page);
        self.free.extend(numbers.skip(1));
        self.free_at_least = self.free.len();
        Some(&page[0])
    }
}

/// Names the ledger of an account, so that none of them has to remember it.
pub trait Bank {
    /// Always the same.
    fn ledger() -> &'static Ledger;
}

/// The counters of one socket while it exists; dropping it closes the account
/// and adds its values to the ledger's sums.
pub struct Account<B: Bank> {
    counters: &'static Counters,
    bank: PhantomData<fn() -> B>,
}

impl<B: Bank> Account<B> {
    /// Counters for one more socket, at zero; `None` when memory runs out.
    pub fn open() -> Option<Self> {
        Some(Account {
            counters: B::ledger().open()?,
            bank: PhantomData,
        })
    }
}

impl<B: Bank> Deref for Account<B> {
    type Target = Counters;

    #[inline]
    fn deref(&self) -> &Counters {
        self.counters
    }
}

impl<B: Bank> fmt::Debug for Account<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counters.fmt(f)
    }
}

impl<B: Bank> Drop for Account<B> {
    fn drop(&mut self) {
        B::ledger().close(self.counters);
    }
}

/// Sums over a whole process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// What all sockets together carried and met.
    pub traffic: Snapshot,
    /// Socket objects that exist now.
    pub open_now: usize,
    /// The largest number of socket objects that existed at one time.
    pub open_at_most: usize,
    /// Socket objects made since the start.
    pub opened: u64,
    /// How connects ended.
    pub connects: ConnectTotals,
    /// How lookups of names ended.
    pub lookups: LookupTotals,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Event;
    use core::time::Duration;

    /// A ledger of its own for a test.
    macro_rules! bank {
        ($name:ident) => {
            struct $name;

            impl Bank for $name {
                fn ledger() -> &'static Ledger {
                    static LEDGER: Ledger = Ledger::new();
                    &LEDGER
                }
            }
        };
    }

    #[test]
    fn a_reused_account_starts_at_zero_and_nothing_is_counted_twice() {
        bank!(Own);
        for _ in 0..3 {
            let account = Account::<Own>::open().unwrap();
            assert_eq!(account.snapshot(), Snapshot::default());
            account.received(7);
            assert!(Own::ledger().totals().traffic.bytes_received > 0);
        }
        let totals = Own::ledger().totals();
        assert_eq!(totals.traffic.bytes_received, 21);
        assert_eq!(totals.traffic.receives, 3);
        assert_eq!(
            (totals.open_now, totals.open_at_most, totals.opened),
            (0, 1, 3)
        );
        assert_eq!(Own::ledger().books.lock().pages.len(), 1);
    }

    #[test]
    fn totals_stay_exact_while_accounts_come_and_go() {
        bank!(Own);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut last = 0;
                    for _ in 0..500 {
                        Account::<Own>::open().unwrap().sent(1);
                        let now = Own::ledger().totals().traffic.bytes_sent;
                        assert!(now > last, "a closed account was lost for a moment");
                        last = now;
                    }
                });
            }
        });
        assert_eq!(Own::ledger().totals().traffic.bytes_sent, 2000);
    }

    #[test]
    fn more_accounts_than_a_page_holds() {
        bank!(Own);
        let accounts: Vec<Account<Own>> =
            (0..3 * PAGE + 1).map_while(|_| Account::open()).collect();
        for account in &accounts {
            account.sent(2);
        }
        assert_eq!(Own::ledger().totals().traffic.sends, accounts.len() as u64);
        assert_eq!(Own::ledger().totals().open_now, accounts.len());
    }

    #[test]
    fn every_value_of_a_closed_account_is_in_the_sum_and_none_in_the_next() {
        bank!(Own);
        let events = [
            Event::Connected,
            Event::Truncated,
            Event::Foreign,
            Event::Refused,
            Event::TimedOut,
            Event::ShortWrite,
            Event::Retried,
            Event::ConnectFailed,
            Event::LookedUp,
            Event::LookupFailed,
        ];
        let account = Account::<Own>::open().unwrap();
        account.sent(2);
        account.received(3);
        events.iter().for_each(|&event| account.record(event));
        let mut before = account.snapshot();
        account.connect_took(Duration::from_micros(5));
        drop(account);
        assert_eq!(Own::ledger().totals().traffic, before);
        // The same memory, and only one of the values.
        for event in events {
            let account = Account::<Own>::open().unwrap();
            assert_eq!(account.snapshot(), Snapshot::default());
            account.record(event);
            before += account.snapshot();
            drop(account);
            assert_eq!(Own::ledger().totals().traffic, before, "{event:?}");
        }
    }
}
