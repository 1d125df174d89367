//! The table of facts, `abi_facts.csv`.

use std::collections::BTreeMap;

use anjay_net_tests::{Abi, Target};

/// What a fact is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    SizeOf,
    AlignOf,
    OffsetOf,
    FieldSize,
    Slot,
    Enum,
    Constant,
    Symbol,
}

impl Kind {
    pub fn parse(text: &str) -> Kind {
        match text {
            "sizeof" => Kind::SizeOf,
            "alignof" => Kind::AlignOf,
            "offsetof" => Kind::OffsetOf,
            "fieldsize" => Kind::FieldSize,
            "slot" => Kind::Slot,
            "enum" => Kind::Enum,
            "constant" => Kind::Constant,
            "symbol" => Kind::Symbol,
            other => panic!("no kind of fact: {other}"),
        }
    }
}

/// Facts by kind and C name; fields are `type.field`.
pub type Facts = BTreeMap<(Kind, String), i64>;

/// The facts that hold for the target of the C programs and that option-value
/// layout.
pub fn facts(abi: Abi) -> Facts {
    facts_of(Target::get().triple(), abi)
}

/// The facts that hold for that target.
pub fn facts_of(triple: &str, abi: Abi) -> Facts {
    const TABLE: &str = include_str!("../../abi_facts.csv");
    let (processor, _) = triple.split_once('-').expect("a triple has parts");
    let column = match processor {
        "x86_64" | "aarch64" => 3,
        "armv7" => 4,
        "i586" | "i686" => 5,
        "s390x" => 6,
        other => panic!("abi_facts.csv has no column for {other}"),
    };
    let abi = match abi {
        Abi::Commons4 => "4",
        Abi::Commons5 => "5",
    };
    TABLE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .skip(1)
        .map(|line| line.split(',').collect::<Vec<_>>())
        .filter(|row| row[2] == "all" || row[2] == abi)
        .map(|row| {
            let value = row[column].parse().expect("a value is a number");
            ((Kind::parse(row[0]), row[1].to_owned()), value)
        })
        .collect()
}
