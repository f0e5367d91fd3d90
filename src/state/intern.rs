//! Names that repeat (tasks, workers, queues, exceptions) are held once and referred to by a number of four bytes.

use std::hash::BuildHasher;
use std::num::NonZeroU32;

use hashbrown::{DefaultHashBuilder, HashTable};

/// An interned name. `Option<Sym>` is four bytes too.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Sym(NonZeroU32);

impl Sym {
    /// Its place, for bit sets and tables.
    pub fn index(self) -> usize {
        self.0.get() as usize - 1
    }

    fn at(index: usize) -> Self {
        Sym(NonZeroU32::MIN.saturating_add(u32::try_from(index).unwrap_or(u32::MAX)))
    }
}

/// The table of names. It only grows until it is swept.
#[derive(Default)]
pub struct Interner {
    names: Vec<Option<Box<str>>>,
    free: Vec<u32>,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    version: u64,
}

impl Interner {
    /// An empty one that is another version than this one.
    pub fn afresh(&self) -> Self {
        Self { version: self.version + 1, ..Self::default() }
    }

    /// The symbol of a name, made if new.
    pub fn intern(&mut self, name: &str) -> Sym {
        let hash = self.hasher.hash_one(name);
        let names = &self.names;
        if let Some(&index) = self.table.find(hash, |&i| names[i as usize].as_deref() == Some(name)) {
            return Sym::at(index as usize);
        }
        self.version += 1;
        let index = match self.free.pop() {
            Some(index) => {
                self.names[index as usize] = Some(name.into());
                index
            }
            None => {
                self.names.push(Some(name.into()));
                self.names.len() as u32 - 1
            }
        };
        let (names, hasher) = (&self.names, &self.hasher);
        self.table.insert_unique(hash, index, |&i| hasher.hash_one(names[i as usize].as_deref().unwrap_or_default()));
        Sym::at(index as usize)
    }

    /// The symbol of a name, if it is known.
    pub fn find(&self, name: &str) -> Option<Sym> {
        let hash = self.hasher.hash_one(name);
        self.table.find(hash, |&i| self.names[i as usize].as_deref() == Some(name)).map(|&i| Sym::at(i as usize))
    }

    /// The name of a symbol.
    pub fn name(&self, sym: Sym) -> &str {
        self.names.get(sym.index()).and_then(Option::as_deref).unwrap_or_default()
    }

    /// How many places there are, free ones included.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// How many names there are.
    pub fn live(&self) -> usize {
        self.names.len() - self.free.len()
    }

    /// Whether no name was ever interned.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Changes whenever a name is added, so that a ranking knows when it is outdated.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The alphabetical rank of every place.
    pub fn ranks(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.names.len() as u32).collect();
        order.sort_by_key(|&i| self.names[i as usize].as_deref().unwrap_or_default());
        let mut ranks = vec![0; order.len()];
        for (rank, index) in order.into_iter().enumerate() {
            ranks[index as usize] = rank as u32;
        }
        ranks
    }

    /// For every place, whether its name satisfies `test`.
    pub fn matching(&self, test: impl Fn(&str) -> bool) -> Vec<bool> {
        self.names.iter().map(|name| name.as_deref().is_some_and(&test)).collect()
    }

    /// Forgets the names whose place is not in use any more.
    pub fn sweep(&mut self, used: &[bool]) {
        for index in 0..self.names.len() {
            if used.get(index).copied().unwrap_or(false) {
                continue;
            }
            let Some(name) = self.names[index].take() else { continue };
            let hash = self.hasher.hash_one(&*name);
            if let Ok(entry) = self.table.find_entry(hash, |&i| i as usize == index) {
                entry.remove();
            }
            self.free.push(index as u32);
        }
        self.version += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_symbol_and_a_swept_place_is_used_again() {
        let mut interner = Interner::default();
        let (a, b) = (interner.intern("b.task"), interner.intern("a.task"));
        assert_eq!(interner.intern("b.task"), a);
        assert_eq!((interner.name(b), interner.find("a.task"), interner.find("x")), ("a.task", Some(b), None));
        assert_eq!(interner.ranks(), [1, 0]);
        interner.sweep(&[false, true]);
        assert_eq!(interner.find("b.task"), None);
        assert_eq!(interner.intern("c"), a);
        assert_eq!((interner.name(a), interner.name(b), interner.len()), ("c", "a.task", 2));
        assert_eq!(size_of::<Option<Sym>>(), 4);
    }
}
