//! The picture of the README, drawn from `docs/comparison.csv`.

use std::fmt::Write;

use crate::files::{self, Generated};
use crate::size;

const DATA: &str = "docs/comparison.csv";
const PICTURE: &str = "docs/images/comparison.svg";

const WIDTH: u32 = 480;
const MARGIN: u32 = 16;
/// What the longest bar takes; the rest is for its figure.
const BAR: f64 = 320.0;

/// Readable on a white and on a dark page; the viewer tells which it is.
const STYLE: &str = "\
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.page { fill: #ffffff; stroke: #d1d9e0 }
.heading { font-weight: 600; font-size: 15px }
.default { fill: #8c959f }
.here { fill: #1a7f6b }
@media (prefers-color-scheme: dark) {
  .page { fill: #151b23; stroke: #3d444d }
  text { fill: #e6edf3 }
  .default { fill: #6e7681 }
  .here { fill: #3fb99f }
}
";

struct Row {
    group: String,
    case: String,
    unit: String,
    default: f64,
    here: f64,
}

/// Whether the picture is that of the data.
pub fn check() -> Result<(), String> {
    files::check(&drawn()?, "cargo chart")
}

/// Draws the picture.
pub fn write() -> Result<(), String> {
    files::write_all(&drawn()?)
}

fn drawn() -> Result<Generated, String> {
    let rows = rows(&files::read(DATA)?, size::figures_of_the_small_archive()?);
    let rows = rows.ok_or(format!("{DATA}: not `group,case,unit,default,anjay-net`"))?;
    Ok(vec![(PICTURE.to_owned(), svg(&rows))])
}

/// The rows of the data, with the time and the bytes that are measured elsewhere.
fn rows(data: &str, [time, bytes]: [f64; 2]) -> Option<Vec<Row>> {
    let lines = data.lines().filter(|line| !line.starts_with('#'));
    let row = |line: &str| {
        let fields: Vec<_> = line.split(',').collect();
        let &[group, case, unit, default, here] = fields.as_slice() else {
            return None;
        };
        Some(Row {
            group: group.to_owned(),
            case: case.to_owned(),
            unit: unit.to_owned(),
            default: default.parse().ok()?,
            here: match here {
                "time" => time,
                "bytes" => bytes,
                number => number.parse().ok()?,
            },
        })
    };
    lines.skip(1).map(row).collect()
}

fn svg(rows: &[Row]) -> String {
    let mut body = String::new();
    let mut y = MARGIN + 12;
    let text = |class: &str, x: u32, y: u32, text: &str| {
        format!("<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{text}</text>\n")
    };
    let mut group = "";
    for row in rows {
        if row.group != group {
            group = &row.group;
            y += 8;
            body += &text("heading", MARGIN, y, group);
            y += 24;
        }
        body += &text("", MARGIN, y, &row.case);
        let longest = row.default.max(row.here);
        for (class, name, value) in [
            ("default", "default", row.default),
            ("here", "anjay-net", row.here),
        ] {
            y += 8;
            let width = (value / longest * BAR).max(1.0);
            let _ = writeln!(
                body,
                "<rect class=\"{class}\" x=\"{MARGIN}\" y=\"{y}\" width=\"{width:.0}\" \
                 height=\"14\" rx=\"2\"/>"
            );
            let label = format!("{} {name}", figure(value, &row.unit));
            body += &text("", MARGIN + width as u32 + 6, y + 12, &label);
            y += 12;
        }
        y += 28;
    }
    let height = y - 8;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" role=\"img\">\n\
         <title>anjay-net beside the default sockets of avs_commons</title>\n\
         <style>\n{STYLE}</style>\n\
         <rect class=\"page\" width=\"{WIDTH}\" height=\"{height}\" rx=\"8\"/>\n{body}</svg>\n"
    )
}

/// As a person writes it: 141,364, 0.25 s.
fn figure(value: f64, unit: &str) -> String {
    let mut text = format!("{value}");
    if value >= 1000.0 {
        let digits = text.len();
        for place in (1..digits).filter(|place| (digits - place) % 3 == 0).rev() {
            text.insert(place, ',');
        }
    }
    format!("{text} {unit}").trim_end().to_owned()
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn figures_are_written_for_people() {
        assert_eq!(figure(141_364.0, ""), "141,364");
        assert_eq!(figure(30_000.0, ""), "30,000");
        assert_eq!(figure(1.6, ""), "1.6");
        assert_eq!(figure(0.25, "s"), "0.25 s");
    }

    #[test]
    fn each_row_has_two_bars_on_the_page() {
        let rows =
            rows("# about\nhead\nA,one,s,10,time\nA,two,,1,2\n", [5.0, 7.0]).expect("two rows");
        let picture = svg(&rows);
        assert_eq!(picture.matches("<rect").count(), 5);
        assert_eq!(picture.matches("heading").count(), 2, "style and one group");
        assert!(picture.contains("width=\"160\""), "half of the longest bar");
        assert!(super::rows("head\nA,one,s,x,5\n", [5.0, 7.0]).is_none());
    }
}
