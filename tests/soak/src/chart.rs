//! The meter's samples as a picture.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

use crate::checks::Report;
use crate::meter::Sample;

const WIDTH: u32 = 900;
const PANEL: u32 = 170;

/// A curve of one panel.
struct Panel {
    title: &'static str,
    figure: fn(&Sample) -> f64,
}

const PANELS: [Panel; 5] = [
    Panel {
        title: "resident memory, MB",
        figure: |sample| sample.memory as f64 / 1e6,
    },
    Panel {
        title: "open descriptors",
        figure: |sample| sample.descriptors as f64,
    },
    Panel {
        title: "UDP datagrams back, per second",
        figure: |sample| sample.datagrams,
    },
    Panel {
        title: "TCP messages back, per second",
        figure: |sample| sample.messages,
    },
    Panel {
        title: "reconnects, per second",
        figure: |sample| sample.reconnects,
    },
];

/// So many points are enough for a curve.
const POINTS: usize = 600;

impl Report {
    /// Draws memory, descriptors and rates over time.
    ///
    /// # Errors
    /// What writing the file says.
    pub fn draw(&self, path: &Path) -> Result<(), Box<dyn Error>> {
        let height = PANEL * PANELS.len() as u32;
        let root = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
        root.fill(&WHITE)?;
        let step = self.samples.len().div_ceil(POINTS).max(1);
        let minutes = |sample: &Sample| sample.at.as_secs_f64() / 60.0;
        let end = self.samples.last().map_or(1.0, minutes);
        for (area, panel) in root.split_evenly((PANELS.len(), 1)).iter().zip(&PANELS) {
            // Each point is the mean of those it stands for.
            let points: Vec<(f64, f64)> = self
                .samples
                .chunks(step)
                .map(|chunk| {
                    let sum: f64 = chunk.iter().map(panel.figure).sum();
                    (minutes(&chunk[0]), sum / chunk.len() as f64)
                })
                .collect();
            let top = points.iter().map(|&(_, y)| y).fold(1.0, f64::max) * 1.15;
            let mut chart = ChartBuilder::on(area)
                .caption(panel.title, ("sans-serif", 15))
                .margin(8)
                .x_label_area_size(24)
                .y_label_area_size(60)
                .build_cartesian_2d(0.0..end, 0.0..top)?;
            chart
                .configure_mesh()
                .light_line_style(TRANSPARENT)
                .y_labels(4)
                .x_label_formatter(&|x| format!("{x:.0} min"))
                .y_label_formatter(&|y| format!("{y:.0}"))
                .draw()?;
            chart.draw_series(LineSeries::new(points, &BLUE))?;
        }
        root.present()?;
        Ok(())
    }
}
