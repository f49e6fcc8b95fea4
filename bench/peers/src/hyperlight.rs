//! `vmem` of the crate `hyperlight-common`, with its entries of x86-64.
//!
//! The crate reaches tables through operations that its user writes. Here they are a buffer of words in cells, with
//! the bounds checks that the crate asks for: what lies outside reads as 0 and drops what is written. An optimised
//! build checks no arithmetic, so `map` and `virt_to_phys` of the crate wrap where tablewalk's refuse.

use std::cell::{Cell, UnsafeCell};
use std::hint::black_box;

use hyperlight_common::vmem::{
    BasicMapping, CowMapping, Mapping, MappingKind, MayNotMoveTable, PAGE_TABLE_SIZE, SpaceAwareMapping,
    TableOps, TableReadOps, Void, map, virt_to_phys, walk_va_spaces,
};

use crate::rows::{Kind, LeafSum, Report, SIZE_2M, SIZE_4K, SPACE_PAGES, checksum, shuffled, timed};

/// Physical address of the first table, the root.
const TABLES: u64 = 0x10_0000;
/// Words of a table.
const WORDS: usize = PAGE_TABLE_SIZE / 8;

/// 1 GiB of pages: 512 tables of leaves, and one each above.
const PAGES: u64 = 262_144;
const VIRT: u64 = 0x7f00_0000_0000;
const PHYS: u64 = 0x1_0000_0000;

/// Address spaces that share tables, and the pages of each: half its own, half shared.
const ROOTS: u64 = 4;
const PAGES_PER_ROOT: u64 = PAGES / ROOTS;
/// Where all of them have the shared pages: what the next entry of the root maps.
const SHARED: u64 = VIRT + (1 << 39);

const WRITABLE: MappingKind =
    MappingKind::Basic(BasicMapping { readable: true, writable: true, executable: false });
const COW: MappingKind = MappingKind::Cow(CowMapping { readable: true, executable: true });

/// Where tables lie, for any buffer: physical byte addresses.
trait Tables {
    fn read(&self, word: usize) -> u64;
    fn write(&self, word: usize, entry: u64);
    fn alloc(&self) -> u64;
    fn root(&self) -> u64 {
        TABLES
    }
}

/// Operations over any tables.
struct Ops<T>(T);

impl<T> AsRef<Self> for Ops<T> {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// Index of the word at this physical address. Below the first table it lies past the end of any buffer.
fn word(addr: u64) -> usize {
    (addr.wrapping_sub(TABLES) / 8) as usize
}

impl<T: Tables> TableReadOps for Ops<T> {
    type TableAddr = u64;

    fn entry_addr(addr: u64, entry_offset: u64) -> u64 {
        addr + entry_offset
    }

    unsafe fn read_entry(&self, addr: u64) -> u64 {
        self.0.read(word(addr))
    }

    fn to_phys(addr: u64) -> u64 {
        addr
    }

    fn from_phys(addr: u64) -> u64 {
        addr
    }

    fn root_table(&self) -> u64 {
        self.0.root()
    }
}

impl<T: Tables> TableOps for Ops<T> {
    type TableMovability = MayNotMoveTable;

    unsafe fn alloc_table(&self) -> u64 {
        self.0.alloc()
    }

    unsafe fn write_entry(&self, addr: u64, entry: u64) -> Option<Void> {
        self.0.write(word(addr), entry);
        None
    }

    unsafe fn update_root(&self, new_root: Void) {
        match new_root {}
    }
}

/// A buffer of zeros that is there before anything is mapped.
struct Buffer {
    words: Box<[Cell<u64>]>,
    used: Cell<usize>,
    root: Cell<u64>,
}

impl Buffer {
    /// Room for as many tables.
    fn new(tables: usize) -> Self {
        let words = vec![Cell::new(0); tables * WORDS].into_boxed_slice();
        Self { words, used: Cell::new(WORDS), root: Cell::new(TABLES) }
    }

    fn clear(&self) {
        for word in &self.words {
            word.set(0);
        }
        self.used.set(WORDS);
    }
}

impl Tables for Buffer {
    fn read(&self, word: usize) -> u64 {
        self.words.get(word).map_or(0, Cell::get)
    }

    fn write(&self, word: usize, entry: u64) {
        if let Some(cell) = self.words.get(word) {
            cell.set(entry);
        }
    }

    fn alloc(&self) -> u64 {
        let start = self.used.get();
        assert!(start < self.words.len(), "out of tables");
        self.used.set(start + WORDS);
        TABLES + start as u64 * 8
    }

    fn root(&self) -> u64 {
        self.root.get()
    }
}

/// A buffer that grows by a table at a time, as that in which the host builds the tables of a sandbox.
struct Growing {
    words: UnsafeCell<Vec<u64>>,
}

impl Growing {
    fn new() -> Self {
        Self { words: UnsafeCell::new(vec![0; WORDS]) }
    }

    fn into_words(self) -> Vec<u64> {
        self.words.into_inner()
    }
}

// No reference into the words outlives a call, and none of the calls meets another.
impl Tables for Growing {
    fn read(&self, word: usize) -> u64 {
        let words = unsafe { &*self.words.get() };
        words.get(word).copied().unwrap_or(0)
    }

    fn write(&self, word: usize, entry: u64) {
        let words = unsafe { &mut *self.words.get() };
        if let Some(place) = words.get_mut(word) {
            *place = entry;
        }
    }

    fn alloc(&self) -> u64 {
        let words = unsafe { &mut *self.words.get() };
        let start = words.len();
        words.resize(start + WORDS, 0);
        TABLES + start as u64 * 8
    }
}

impl Buffer {
    fn checksum(&self) -> u64 {
        checksum(self.words[..self.used.get()].iter().map(Cell::get))
    }
}

fn gibibyte(kind: MappingKind) -> Mapping {
    Mapping { phys_base: PHYS, virt_base: VIRT, len: PAGES * SIZE_4K, kind }
}

fn page(number: u64, kind: MappingKind) -> Mapping {
    let at = number * SIZE_4K;
    Mapping { phys_base: PHYS + at, virt_base: VIRT + at, len: SIZE_4K, kind }
}

/// What a row adds up over all mappings that it meets: all that they hold.
fn value(mapping: &Mapping) -> u64 {
    let bit = |flag: bool, shift: u32| u64::from(flag) << shift;
    let flags = match mapping.kind {
        MappingKind::Unmapped => 0,
        MappingKind::Basic(basic) => {
            bit(basic.readable, 0) | bit(basic.writable, 1) | bit(basic.executable, 2)
        }
        MappingKind::Cow(cow) => bit(cow.readable, 0) | bit(cow.executable, 2) | 8,
        MappingKind::ZeroInit(_) => 16,
    };
    mapping.phys_base / SIZE_4K + (mapping.virt_base - VIRT) / SIZE_4K + flags
}

/// Address spaces in one buffer: each has its own pages, and all have those of the first one's next entry.
fn spaces() -> (Ops<Buffer>, Vec<u64>) {
    let tables = PAGES_PER_ROOT * SIZE_4K / SIZE_2M * ROOTS + 64;
    let ops = Ops(Buffer::new(tables as usize));
    let half = PAGES_PER_ROOT / 2 * SIZE_4K;
    let mut roots = vec![TABLES];
    roots.extend((1..ROOTS).map(|_| unsafe { ops.alloc_table() }));
    let shared = Mapping { phys_base: 0x80_0000_0000, virt_base: SHARED, len: half, kind: COW };
    unsafe { map(&ops, shared) };
    let index = SHARED >> 39 & 511;
    let entry = unsafe { ops.read_entry(TABLES + index * 8) };
    for (i, &root) in (0..).zip(&roots) {
        ops.0.root.set(root);
        let own = Mapping { phys_base: PHYS + i * half, virt_base: VIRT, len: half, kind: WRITABLE };
        unsafe {
            map(&ops, own);
            ops.write_entry(root + index * 8, entry);
        }
    }
    (ops, roots)
}

pub fn run(rounds: usize) {
    let report = Report { peer: "hyperlight-common", rounds };
    let count = PAGES as usize;
    let ops = Ops(Buffer::new(516));

    report.row_with_sum("vmem map 4K, new tables", "map", count, || {
        ops.0.clear();
        let time = timed(|| unsafe { map(black_box(&ops), black_box(gibibyte(WRITABLE))) });
        (time, ops.0.checksum())
    });
    report.row_with_sum("vmem map 4K, a buffer that grows", "map", count, || {
        let ops = Ops(Growing::new());
        let time = timed(|| unsafe { map(black_box(&ops), black_box(gibibyte(WRITABLE))) });
        (time, checksum(ops.0.into_words().into_iter()))
    });
    report.row_with_sum("vmem map 4K, again", "map", count, || {
        let time = timed(|| unsafe { map(black_box(&ops), black_box(gibibyte(WRITABLE))) });
        (time, ops.0.checksum())
    });
    report.row_with_sum("vmem map 4K, Unmapped", "map", count, || {
        let time = timed(|| unsafe { map(black_box(&ops), black_box(gibibyte(MappingKind::Unmapped))) });
        (time, ops.0.checksum())
    });
    report.row_with_sum("vmem map 4K, page by page", "map", count, || {
        ops.0.clear();
        let time = timed(|| {
            for number in 0..PAGES {
                unsafe { map(black_box(&ops), page(number, WRITABLE)) };
            }
        });
        (time, ops.0.checksum())
    });

    // The tables of the last row stand for the next ones.
    report.row_with_sum("vmem virt_to_phys, 1 GiB", "for", count, || {
        let mut sum = 0;
        let time = timed(|| {
            let pages = unsafe { virt_to_phys(black_box(&ops), black_box(VIRT), PAGES * SIZE_4K) };
            for mapping in pages {
                sum += value(&mapping);
            }
        });
        (time, sum)
    });
    // The crate chains iterators: faster if they are driven from within.
    report.row_with_sum("vmem virt_to_phys, 1 GiB, from within", "for_each", count, || {
        let mut sum = 0;
        let time = timed(|| {
            let pages = unsafe { virt_to_phys(black_box(&ops), black_box(VIRT), PAGES * SIZE_4K) };
            pages.for_each(|mapping| sum += value(&mapping));
        });
        (time, sum)
    });
    let addresses: Vec<u64> = shuffled(PAGES).iter().map(|number| VIRT + number * SIZE_4K + 0x123).collect();
    report.row_with_sum("vmem virt_to_phys, a page, random", "for", count, || {
        let mut sum = 0;
        let time = timed(|| {
            for &address in &addresses {
                for mapping in unsafe { virt_to_phys(black_box(&ops), address, 1) } {
                    sum += value(&mapping);
                }
            }
        });
        (time, sum)
    });

    let (ops, roots) = spaces();
    report.row_with_sum("vmem walk_va_spaces, 4 roots", "Vec", count, || {
        let mut found = Vec::new();
        let time = timed(|| found = unsafe { walk_va_spaces(&ops, black_box(&roots), 0, 1 << 47) });
        let items = found.iter().flat_map(|(_, items)| items);
        let values = items.map(|item| match item {
            SpaceAwareMapping::ThisSpace(mapping) => value(mapping),
            SpaceAwareMapping::AnotherSpace(_) => unreachable!("the crate names no aliases on x86-64"),
        });
        (time, values.sum())
    });
}

/// The rows of `AddressSpace`.
pub fn run_space(rounds: usize) {
    let report = Report { peer: "hyperlight-common", rounds };
    let ops = Ops(Buffer::new(516));
    let leaves = |ops: &Ops<Buffer>| {
        let read = |at: u64| ops.0.read(word(at));
        LeafSum { kind: Kind::X86, levels: 4, read: &read }.of(TABLES)
    };
    report.row_with_sum("space map 1 GiB in 4K, new tables", "map", PAGES as usize, || {
        ops.0.clear();
        let time = timed(|| unsafe { map(black_box(&ops), black_box(gibibyte(WRITABLE))) });
        (time, leaves(&ops))
    });
    report.row_with_sum("space map a page, in order", "map", SPACE_PAGES as usize, || {
        ops.0.clear();
        let time = timed(|| {
            for number in 0..SPACE_PAGES {
                unsafe { map(black_box(&ops), page(number, WRITABLE)) };
            }
        });
        (time, leaves(&ops))
    });
}
