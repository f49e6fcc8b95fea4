//! The crate `aarch64-paging`: the version of today, and the one that its documentation page first described.
//!
//! Tables lie in a buffer that is there before anything is mapped, zeroed, at physical addresses of its own: `Arena` is
//! a `Translation` such as a user of `Mapping` writes. Its root tables are of level 1, as in the crate's examples.

use std::cell::{Cell, UnsafeCell};
use std::hint::black_box;
use std::ptr::NonNull;
use std::time::Duration;

use crate::rows::{Kind, LeafSum, Report, SIZE_2M, SIZE_4K, checksum, shuffled, timed};

/// Physical address of the first table, the root.
const TABLES: usize = 0x10_0000;
const TABLE_BYTES: usize = 4096;
/// Tables that there is room for: 1 GiB of pages needs 512 for leaves and two above.
const ROOM: usize = 520;

/// 1 GiB of pages.
const PAGES: usize = 262_144;
const VIRT: usize = 0x10_0000_0000;
const PHYS: usize = 0x1_0000_0000;
const PAGE: usize = SIZE_4K as usize;
const GIB: usize = PAGES * PAGE;

/// 64 GiB of 2-MiB blocks. Their addresses are not those of 1-GiB blocks.
const BLOCKS: usize = 32_768;
const BLOCK: usize = SIZE_2M as usize;
const BLOCKS_PHYS: usize = PHYS + BLOCK;

const ROOT_LEVEL: usize = 1;
const ASID: usize = 1;

#[repr(C, align(4096))]
#[derive(Clone)]
struct Table([u64; TABLE_BYTES / 8]);

/// Where tables lie.
struct Buffer {
    tables: UnsafeCell<Vec<Table>>,
    used: Cell<usize>,
}

/// A handle of the buffer, which lives as long as the program.
#[derive(Clone, Copy)]
struct Arena(&'static Buffer);

// The program has one thread.
unsafe impl Send for Arena {}

impl Arena {
    fn new() -> Self {
        let tables = UnsafeCell::new(vec![Table([0; TABLE_BYTES / 8]); ROOM]);
        Self(Box::leak(Box::new(Buffer { tables, used: Cell::new(0) })))
    }

    fn first(self) -> *mut Table {
        unsafe { (*self.0.tables.get()).as_mut_ptr() }
    }

    fn clear(self) {
        for table in unsafe { (*self.0.tables.get()).iter_mut() } {
            table.0.fill(0);
        }
        self.0.used.set(0);
    }

    fn checksum(self) -> u64 {
        let tables = unsafe { &(&*self.0.tables.get())[..self.0.used.get()] };
        checksum(tables.iter().flat_map(|table| table.0))
    }

    fn allocate<T>(self) -> (NonNull<T>, usize) {
        let number = self.0.used.get();
        assert!(number < ROOM, "out of tables");
        self.0.used.set(number + 1);
        let physical = TABLES + number * TABLE_BYTES;
        (self.table(physical), physical)
    }

    /// The table at a physical address, which the crate had from `allocate`.
    fn table<T>(self, physical: usize) -> NonNull<T> {
        let number = (physical - TABLES) / TABLE_BYTES;
        unsafe { NonNull::new_unchecked(self.first().add(number).cast()) }
    }
}

/// What both versions do, each with its own names and types. Addresses in bytes; `to` is the first address after.
trait Map {
    /// Whether unmapping all that a table maps frees the table.
    const FREES_TABLES: bool;

    fn new(arena: Arena) -> Self;
    fn map(&mut self, from: usize, to: usize, physical: usize, blocks: bool);
    fn unmap(&mut self, from: usize, to: usize);
    fn set_read_only(&mut self, from: usize, to: usize);
    fn clear_read_only(&mut self, from: usize, to: usize);
    /// Sum of what the descriptors of the range say, and of the pages that they are said for.
    fn walk(&self, from: usize, to: usize) -> usize;
    fn activate(&mut self);
    fn deactivate(&mut self);
    /// Maps all pages of an `IdMap`, which has a heap of its own; the sum is that of the entries.
    fn map_own_heap() -> (Duration, u64);
}

/// What the rows of maps with a heap of their own sum up: the table addresses are the heap's.
fn leaf_sum(page: usize, flags: usize) -> u64 {
    (page / PAGE + flags) as u64
}

mod modern {
    use aarch64_paging::Mapping;
    use aarch64_paging::descriptor::{El1Attributes, PhysicalAddress};
    use aarch64_paging::idmap::IdMap;
    use aarch64_paging::paging::{Constraints, El1And0, MemoryRegion, PageTable, Translation, VaRange};

    use super::*;

    const FLAGS: El1Attributes = El1Attributes::ATTRIBUTE_INDEX_1
        .union(El1Attributes::INNER_SHAREABLE)
        .union(El1Attributes::VALID)
        .union(El1Attributes::ACCESSED)
        .union(El1Attributes::NON_GLOBAL);

    type Tables = PageTable<El1Attributes>;

    impl Translation<El1Attributes> for Arena {
        fn allocate_table(&mut self) -> (NonNull<Tables>, PhysicalAddress) {
            let (table, physical) = self.allocate();
            (table, PhysicalAddress(physical))
        }

        unsafe fn deallocate_table(&mut self, _: NonNull<Tables>) {}

        fn physical_to_virtual(&self, pa: PhysicalAddress) -> NonNull<Tables> {
            self.table(pa.0)
        }
    }

    impl Map for Mapping<Arena, El1And0> {
        const FREES_TABLES: bool = true;

        fn new(arena: Arena) -> Self {
            Self::with_asid_and_va_range(arena, ASID, ROOT_LEVEL, El1And0, VaRange::Lower)
        }

        fn map(&mut self, from: usize, to: usize, physical: usize, blocks: bool) {
            let constraints = if blocks { Constraints::empty() } else { Constraints::NO_BLOCK_MAPPINGS };
            self.map_range(&MemoryRegion::new(from, to), PhysicalAddress(physical), FLAGS, constraints)
                .unwrap();
        }

        fn unmap(&mut self, from: usize, to: usize) {
            let region = MemoryRegion::new(from, to);
            self.map_range(&region, PhysicalAddress(0), El1Attributes::empty(), Constraints::empty())
                .unwrap();
        }

        fn set_read_only(&mut self, from: usize, to: usize) {
            self.modify_range(&MemoryRegion::new(from, to), &|_, descriptor| {
                descriptor.modify_flags(El1Attributes::READ_ONLY, El1Attributes::empty())
            })
            .unwrap();
        }

        fn clear_read_only(&mut self, from: usize, to: usize) {
            self.modify_range(&MemoryRegion::new(from, to), &|_, descriptor| {
                descriptor.modify_flags(El1Attributes::empty(), El1Attributes::READ_ONLY)
            })
            .unwrap();
        }

        fn walk(&self, from: usize, to: usize) -> usize {
            let mut sum = 0;
            self.walk_range(&MemoryRegion::new(from, to), &mut |region, descriptor, level| {
                sum += (region.start().0 - VIRT + descriptor.output_address().0) / PAGE + level;
                Ok(())
            })
            .unwrap();
            sum
        }

        fn map_own_heap() -> (Duration, u64) {
            let mut map = IdMap::with_asid(ASID, ROOT_LEVEL, El1And0);
            let region = MemoryRegion::new(VIRT, VIRT + GIB);
            let time = timed(|| {
                let map = black_box(&mut map);
                map.map_range_with_constraints(&region, FLAGS, Constraints::NO_BLOCK_MAPPINGS).unwrap();
            });
            let mut sum = 0;
            map.walk_range(&region, &mut |region, descriptor, _| {
                sum += leaf_sum(region.start().0, descriptor.flags().bits());
                Ok(())
            })
            .unwrap();
            (time, sum)
        }

        fn activate(&mut self) {
            self.mark_active();
        }

        fn deactivate(&mut self) {
            self.mark_inactive();
        }
    }
}

mod seed {
    use aarch64_paging_seed::Mapping;
    use aarch64_paging_seed::idmap::IdMap;
    use aarch64_paging_seed::paging::{
        Attributes, Constraints, MemoryRegion, PageTable, PhysicalAddress, Translation, VaRange,
    };

    use super::*;

    const FLAGS: Attributes = Attributes::NORMAL.union(Attributes::NON_GLOBAL).union(Attributes::VALID);

    impl Translation for Arena {
        fn allocate_table(&self) -> (NonNull<PageTable>, PhysicalAddress) {
            let (table, physical) = self.allocate();
            (table, PhysicalAddress(physical))
        }

        unsafe fn deallocate_table(&self, _: NonNull<PageTable>) {}

        fn physical_to_virtual(&self, pa: PhysicalAddress) -> NonNull<PageTable> {
            self.table(pa.0)
        }
    }

    impl Map for Mapping<Arena> {
        const FREES_TABLES: bool = false;

        fn new(arena: Arena) -> Self {
            Self::new(arena, ASID, ROOT_LEVEL, VaRange::Lower)
        }

        fn map(&mut self, from: usize, to: usize, physical: usize, blocks: bool) {
            let constraints = if blocks { Constraints::empty() } else { Constraints::NO_BLOCK_MAPPINGS };
            self.map_range(&MemoryRegion::new(from, to), PhysicalAddress(physical), FLAGS, constraints)
                .unwrap();
        }

        fn unmap(&mut self, from: usize, to: usize) {
            let region = MemoryRegion::new(from, to);
            self.map_range(&region, PhysicalAddress(0), Attributes::empty(), Constraints::empty()).unwrap();
        }

        fn set_read_only(&mut self, from: usize, to: usize) {
            self.modify_range(&MemoryRegion::new(from, to), &|_, descriptor, _| {
                descriptor.modify_flags(Attributes::READ_ONLY, Attributes::empty());
                Ok(())
            })
            .unwrap();
        }

        fn clear_read_only(&mut self, from: usize, to: usize) {
            self.modify_range(&MemoryRegion::new(from, to), &|_, descriptor, _| {
                descriptor.modify_flags(Attributes::empty(), Attributes::READ_ONLY);
                Ok(())
            })
            .unwrap();
        }

        /// This version shows no output addresses.
        fn walk(&self, from: usize, to: usize) -> usize {
            let mut sum = 0;
            self.walk_range(&MemoryRegion::new(from, to), &mut |region, descriptor, level| {
                sum += (region.start().0 - VIRT) / PAGE + descriptor.flags().ok_or(())?.bits() + level;
                Ok(())
            })
            .unwrap();
            sum
        }

        fn map_own_heap() -> (Duration, u64) {
            let mut map = IdMap::new(ASID, ROOT_LEVEL);
            let region = MemoryRegion::new(VIRT, VIRT + GIB);
            let time = timed(|| {
                let map = black_box(&mut map);
                map.map_range_with_constraints(&region, FLAGS, Constraints::NO_BLOCK_MAPPINGS).unwrap();
            });
            let mut sum = 0;
            map.walk_range(&region, &mut |region, descriptor, _| {
                sum += leaf_sum(region.start().0, descriptor.flags().ok_or(())?.bits());
                Ok(())
            })
            .unwrap();
            (time, sum)
        }

        fn activate(&mut self) {
            unsafe { self.activate() };
        }

        fn deactivate(&mut self) {
            unsafe { self.deactivate() };
        }
    }
}

fn rows<M: Map>(report: &Report, name: &str, interface: &str) {
    let arena = Arena::new();
    let addresses: Vec<usize> =
        shuffled(PAGES as u64).iter().map(|&page| VIRT + page as usize * PAGE).collect();
    let row = |what: &str, count: usize, pass: &mut dyn FnMut() -> (Duration, u64)| {
        report.row_with_sum(&format!("{name} {what}"), interface, count, pass);
    };
    let fresh = || {
        arena.clear();
        M::new(arena)
    };
    let map_pages = |map: &mut M| black_box(map).map(black_box(VIRT), VIRT + GIB, PHYS, false);
    let map_blocks =
        |map: &mut M| black_box(map).map(black_box(VIRT), VIRT + BLOCKS * BLOCK, BLOCKS_PHYS, true);

    row("map 4K, new tables", PAGES, &mut || {
        let mut map = fresh();
        (timed(|| map_pages(&mut map)), arena.checksum())
    });
    row("map 4K, own heap", PAGES, &mut M::map_own_heap);
    row("map 2M, new tables", BLOCKS, &mut || {
        let mut map = fresh();
        (timed(|| map_blocks(&mut map)), arena.checksum())
    });
    row("map a page, random, new tables", PAGES, &mut || {
        let mut map = fresh();
        let time = timed(|| {
            for &address in &addresses {
                black_box(&mut map).map(address, address + PAGE, PHYS + address - VIRT, false);
            }
        });
        (time, arena.checksum())
    });
    if M::FREES_TABLES {
        row("unmap, by table", PAGES / 512 + 1, &mut || {
            let mut map = fresh();
            map_pages(&mut map);
            (timed(|| black_box(&mut map).unmap(black_box(VIRT), VIRT + GIB)), arena.checksum())
        });
    }

    let mut map = fresh();
    map_blocks(&mut map);
    row("map 2M, again", BLOCKS, &mut || (timed(|| map_blocks(&mut map)), arena.checksum()));

    let mut map = fresh();
    map_pages(&mut map);
    row("map 4K, again", PAGES, &mut || (timed(|| map_pages(&mut map)), arena.checksum()));
    row("map 4K, again, active", PAGES, &mut || {
        map.activate();
        let time = timed(|| map_pages(&mut map));
        map.deactivate();
        (time, arena.checksum())
    });
    row("modify 4K, set and clear", 2 * PAGES, &mut || {
        let mut sum = 0;
        let set = timed(|| black_box(&mut map).set_read_only(black_box(VIRT), VIRT + GIB));
        sum += arena.checksum();
        let clear = timed(|| black_box(&mut map).clear_read_only(black_box(VIRT), VIRT + GIB));
        (set + clear, sum + arena.checksum())
    });
    row("walk 4K", PAGES, &mut || {
        let mut sum = 0;
        let time = timed(|| sum = black_box(&map).walk(black_box(VIRT), VIRT + GIB));
        (time, sum as u32 as u64)
    });
    row("walk a page, random", PAGES, &mut || {
        let mut sum = 0;
        let time = timed(|| {
            for &address in &addresses {
                sum += black_box(&map).walk(address, address + PAGE);
            }
        });
        (time, sum as u32 as u64)
    });
}

pub fn run(rounds: usize) {
    use aarch64_paging::Mapping;
    use aarch64_paging::paging::El1And0;

    let report = Report { peer: "aarch64-paging", rounds };
    rows::<Mapping<Arena, El1And0>>(&report, "aarch64", "version 0.12.1");
    rows::<aarch64_paging_seed::Mapping<Arena>>(&report, "aarch64 0.5", "version 0.5.0");
}

/// The rows of `AddressSpace`: pages that the kernel alone reads and writes.
pub fn run_space(rounds: usize) {
    use aarch64_paging::Mapping;
    use aarch64_paging::descriptor::{El1Attributes, PhysicalAddress};
    use aarch64_paging::paging::{Constraints, El1And0, MemoryRegion, VaRange};

    let report = Report { peer: "aarch64-paging", rounds };
    let flags = El1Attributes::ATTRIBUTE_INDEX_0
        | El1Attributes::INNER_SHAREABLE
        | El1Attributes::VALID
        | El1Attributes::ACCESSED
        | El1Attributes::NON_GLOBAL
        | El1Attributes::UXN
        | El1Attributes::PXN;
    let none = El1Attributes::empty();
    let arena = Arena::new();
    let region = MemoryRegion::new(VIRT, VIRT + GIB);
    let leaves = || {
        let read = |at: u64| {
            let (table, index) = (at as usize & !(TABLE_BYTES - 1), at as usize % TABLE_BYTES / 8);
            unsafe { arena.table::<Table>(table).as_ref().0[index] }
        };
        LeafSum { kind: Kind::Aarch64, levels: 3, read: &read }.of(TABLES as u64)
    };
    let fresh = || {
        arena.clear();
        Mapping::with_asid_and_va_range(arena, ASID, ROOT_LEVEL, El1And0, VaRange::Lower)
    };
    let map_pages = |map: &mut Mapping<Arena, El1And0>| {
        let only_pages = Constraints::NO_BLOCK_MAPPINGS;
        black_box(map).map_range(&region, PhysicalAddress(PHYS), flags, only_pages).unwrap();
    };
    report.row_with_sum("space aarch64 map 1 GiB in 4K, new tables", "map_range", PAGES, || {
        let mut map = fresh();
        (timed(|| map_pages(&mut map)), leaves())
    });
    let mut map = fresh();
    map_pages(&mut map);
    report.row_with_sum("space aarch64 protect 1 GiB in 4K", "modify_range", 2 * PAGES, || {
        let mut time = Duration::ZERO;
        let mut sum = 0;
        for (set, clear) in [(El1Attributes::READ_ONLY, none), (none, El1Attributes::READ_ONLY)] {
            time += timed(|| {
                let map = black_box(&mut map);
                map.modify_range(&region, &|_, descriptor| descriptor.modify_flags(set, clear)).unwrap();
            });
            sum += leaves();
        }
        (time, sum)
    });
    report.row_with_sum("space aarch64 unmap 1 GiB in 4K", "map_range", PAGES, || {
        let mut map = fresh();
        map_pages(&mut map);
        let time = timed(|| {
            black_box(&mut map).map_range(&region, PhysicalAddress(0), none, Constraints::empty()).unwrap();
        });
        (time, leaves())
    });
}
