//! A map that never grows beyond its capacity.

use anjay_net_socket::Result;
use std::collections::VecDeque;

/// At most `N` entries: the oldest one makes room for a new one. Meant for few
/// of them, as it is searched from end to end.
pub(super) struct Cache<K, V, const N: usize> {
    entries: VecDeque<(K, V)>,
}

impl<K: PartialEq, V, const N: usize> Cache<K, V, N> {
    /// # Errors
    /// `ENOMEM`.
    pub(super) fn new() -> Result<Self> {
        let mut entries = VecDeque::new();
        entries.try_reserve_exact(N)?;
        Ok(Cache { entries })
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let found = self.entries.iter_mut().find(|(other, _)| other == key);
        found.map(|(_, value)| value)
    }

    pub(super) fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        match self.entries.iter().position(|(other, _)| *other == key) {
            Some(index) => &mut self.entries[index].1,
            None => self.push(key, make()),
        }
    }

    pub(super) fn insert(&mut self, key: K, value: V) -> &mut V {
        self.remove(&key);
        self.push(key, value)
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let index = self.entries.iter().position(|(other, _)| other == key)?;
        self.entries.remove(index).map(|(_, value)| value)
    }

    fn push(&mut self, key: K, value: V) -> &mut V {
        if self.entries.len() == N {
            self.entries.pop_front();
        }
        self.entries.push_back((key, value));
        let last = self.entries.len() - 1;
        &mut self.entries[last].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entry_makes_room() {
        let mut cache = Cache::<u8, char, 2>::new().unwrap();
        assert_eq!(*cache.get_or_insert_with(1, || 'a'), 'a');
        assert_eq!(*cache.get_or_insert_with(2, || 'b'), 'b');
        assert_eq!(*cache.get_or_insert_with(1, || 'x'), 'a');
        cache.insert(3, 'c');
        assert_eq!(cache.get_mut(&1), None);
        assert_eq!(cache.get_mut(&2), Some(&mut 'b'));
        cache.insert(2, 'd');
        assert_eq!((cache.remove(&2), cache.remove(&2)), (Some('d'), None));
        assert_eq!(cache.remove(&3), Some('c'));
    }

    #[test]
    fn it_allocates_nothing_after_it_was_made() {
        let mut cache = Cache::<u32, u32, 8>::new().unwrap();
        let capacity = cache.entries.capacity();
        for key in 0..1000 {
            cache.get_or_insert_with(key, || key);
        }
        assert_eq!(
            (cache.entries.len(), cache.entries.capacity()),
            (8, capacity)
        );
    }
}
