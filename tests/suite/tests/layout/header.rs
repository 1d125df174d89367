//! What `anjay_net_abi.h` declares, read from its text.

use std::collections::BTreeSet;

use crate::facts::Kind;

/// Every declaration of the header, as the facts it should have.
pub fn declared(text: &str) -> BTreeSet<(Kind, String)> {
    let text = without_comments(text);
    let mut found = BTreeSet::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(rest) = line.strip_prefix("#define ") {
            let mut words = rest.split_whitespace();
            let name = words.next().expect("a definition has a name");
            if words.next().is_some() {
                found.insert((Kind::Constant, name.to_owned()));
            }
        } else if let Some(name) = opened(line, "typedef enum ") {
            found.insert((Kind::SizeOf, name.to_owned()));
            for line in lines.by_ref().take_while(|line| !line.starts_with('}')) {
                if let Some((constant, _)) = line.split_once(" = ") {
                    found.insert((Kind::Enum, constant.trim().to_owned()));
                }
            }
        } else if let Some(name) =
            opened(line, "typedef struct ").or_else(|| opened(line, "typedef union "))
        {
            found.insert((Kind::SizeOf, name.to_owned()));
            found.insert((Kind::AlignOf, name.to_owned()));
            let body: String = lines
                .by_ref()
                .take_while(|line| !line.starts_with('}'))
                .filter(|line| !line.starts_with('#'))
                .collect();
            found.extend(body.split(';').flat_map(|field| field_facts(name, field)));
        } else if let Some(function) = function_name(line) {
            found.insert((Kind::Symbol, function.to_owned()));
        }
    }
    // How the header aligns the union is its own affair; the result counts.
    found.retain(|(_, name)| !name.starts_with("anjay_net_endpoint_data_t.align_"));
    found
}

fn opened<'a>(line: &'a str, keyword: &str) -> Option<&'a str> {
    line.strip_prefix(keyword)?.strip_suffix(" {")
}

/// The facts of one field's declaration, given without its semicolon.
fn field_facts(container: &str, declaration: &str) -> Vec<(Kind, String)> {
    let declaration = declaration.trim();
    if declaration.is_empty() {
        return Vec::new();
    }
    if let Some((_, rest)) = declaration.split_once("(*") {
        let (name, _) = rest.split_once(')').expect("a method has a name");
        if container == "anjay_net_socket_v_table_t" {
            return vec![(Kind::Slot, name.to_owned())];
        }
        return field(container, name);
    }
    let (declaration, _) = declaration.split_once('[').unwrap_or((declaration, ""));
    let name = declaration
        .rsplit([' ', '*'])
        .next()
        .expect("a field has a name");
    field(container, name)
}

fn field(container: &str, name: &str) -> Vec<(Kind, String)> {
    let name = format!("{container}.{name}");
    vec![(Kind::OffsetOf, name.clone()), (Kind::FieldSize, name)]
}

/// The name of a function whose prototype begins on this line.
fn function_name(line: &str) -> Option<&str> {
    let starts_here = line.starts_with(|c: char| c.is_ascii_alphabetic());
    let (before, _) = line.split_once('(')?;
    (starts_here && !line.starts_with("typedef"))
        .then(|| before.rsplit([' ', '*']).next())
        .flatten()
}

fn without_comments(text: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("/*") {
        result.push_str(before);
        rest = after.split_once("*/").expect("a comment ends").1;
    }
    result.push_str(rest);
    result
}
