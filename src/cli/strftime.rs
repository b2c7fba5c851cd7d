//! `%time{…}` of `-w`: a moment in UTC, written as C's `strftime` would in the locale "C".
//!
//! Owns the conversions. Never reads a clock.

use std::fmt::Write;

use super::date::{civil, days};

const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A moment, taken apart.
struct Moment {
    /// Since 1970.
    seconds: i64,
    micros: u32,
    year: i64,
    month: i64,
    day: i64,
    /// From 0, a Sunday.
    weekday: i64,
    /// From 0.
    of_year: i64,
    hour: i64,
    minute: i64,
    second: i64,
}

impl Moment {
    fn new(seconds: i64, micros: u32) -> Self {
        let day = seconds.div_euclid(86_400);
        let rest = seconds.rem_euclid(86_400);
        let (year, month, of_month) = civil(day);
        Self {
            seconds,
            micros,
            year,
            month,
            day: of_month,
            weekday: (day + 4).rem_euclid(7),
            of_year: day - days(year, 1, 1),
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
        }
    }

    /// Year and week of ISO 8601: a week belongs to the year of its Thursday.
    fn iso(&self) -> (i64, i64) {
        let thursday = days(self.year, self.month, self.day) - (self.weekday + 6) % 7 + 3;
        let (year, ..) = civil(thursday);
        (year, (thursday - days(year, 1, 1)) / 7 + 1)
    }

    fn hour_of_twelve(&self) -> i64 {
        (self.hour + 11) % 12 + 1
    }

    /// Appends one conversion; `false`: there is none of this letter.
    fn convert(&self, letter: char, out: &mut String) -> bool {
        let name = |names: &[&'static str], at: i64| names.get(at as usize).copied().unwrap_or("");
        let half = if self.hour < 12 { "AM" } else { "PM" };
        let written = match letter {
            'a' => write!(out, "{:.3}", name(&DAYS, self.weekday)),
            'A' => write!(out, "{}", name(&DAYS, self.weekday)),
            'b' | 'h' => write!(out, "{:.3}", name(&MONTHS, self.month - 1)),
            'B' => write!(out, "{}", name(&MONTHS, self.month - 1)),
            'c' => return self.all("%a %b %e %H:%M:%S %Y", out),
            'C' => write!(out, "{:02}", self.year.div_euclid(100)),
            'd' => write!(out, "{:02}", self.day),
            'D' | 'x' => return self.all("%m/%d/%y", out),
            'e' => write!(out, "{:2}", self.day),
            'f' => write!(out, "{:06}", self.micros),
            'F' => return self.all("%Y-%m-%d", out),
            'g' => write!(out, "{:02}", self.iso().0.rem_euclid(100)),
            'G' => write!(out, "{}", self.iso().0),
            'H' => write!(out, "{:02}", self.hour),
            'I' => write!(out, "{:02}", self.hour_of_twelve()),
            'j' => write!(out, "{:03}", self.of_year + 1),
            'k' => write!(out, "{:2}", self.hour),
            'l' => write!(out, "{:2}", self.hour_of_twelve()),
            'm' => write!(out, "{:02}", self.month),
            'M' => write!(out, "{:02}", self.minute),
            'n' => out.write_char('\n'),
            'p' => write!(out, "{half}"),
            'P' => write!(out, "{}", half.to_ascii_lowercase()),
            'r' => return self.all("%I:%M:%S %p", out),
            'R' => return self.all("%H:%M", out),
            's' => write!(out, "{}", self.seconds),
            'S' => write!(out, "{:02}", self.second),
            't' => out.write_char('\t'),
            'T' | 'X' => return self.all("%H:%M:%S", out),
            'u' => write!(out, "{}", (self.weekday + 6) % 7 + 1),
            'U' => write!(out, "{:02}", (self.of_year + 7 - self.weekday) / 7),
            'V' => write!(out, "{:02}", self.iso().1),
            'w' => write!(out, "{}", self.weekday),
            'W' => write!(out, "{:02}", (self.of_year + 7 - (self.weekday + 6) % 7) / 7),
            'y' => write!(out, "{:02}", self.year.rem_euclid(100)),
            'Y' => write!(out, "{}", self.year),
            'z' => write!(out, "+0000"),
            'Z' => write!(out, "UTC"),
            '%' => out.write_char('%'),
            _ => return false,
        };
        written.is_ok()
    }

    fn all(&self, format: &str, out: &mut String) -> bool {
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            match chars.next() {
                Some(letter) if self.convert(letter, out) => {}
                Some(other) => {
                    out.push('%');
                    out.push(other);
                }
                None => out.push('%'),
            }
        }
        true
    }
}

/// Appends the moment, in seconds and microseconds since 1970. What is no conversion stands as it is.
pub fn write(format: &str, seconds: i64, micros: u32, out: &mut String) {
    Moment::new(seconds, micros).all(format, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(format: &str, seconds: i64) -> String {
        let mut out = String::new();
        write(format, seconds, 37_103, &mut out);
        out
    }

    #[test]
    fn moments_are_written_as_c_writes_them() {
        // What date(1) says in the locale C.
        let all = "%a|%A|%b|%B|%c|%C|%d|%D|%e|%F|%g|%G|%h|%H|%I|%j|%k|%l|%m|%M|%p|%P|%r|%R|%s|%S|%T|%u|%U|%V|%w|%W|%x|%X|%y|%Y|%z|%%";
        let table = [
            (
                784_111_777,
                "Sun|Sunday|Nov|November|Sun Nov  6 08:49:37 1994|19|06|11/06/94| 6|1994-11-06|94|1994|Nov|08|08|310| 8| 8|11|49|AM|am|08:49:37 AM|08:49|784111777|37|08:49:37|7|45|44|0|44|11/06/94|08:49:37|94|1994|+0000|%",
            ),
            (
                1_735_689_599,
                "Tue|Tuesday|Dec|December|Tue Dec 31 23:59:59 2024|20|31|12/31/24|31|2024-12-31|25|2025|Dec|23|11|366|23|11|12|59|PM|pm|11:59:59 PM|23:59|1735689599|59|23:59:59|2|52|01|2|53|12/31/24|23:59:59|24|2024|+0000|%",
            ),
            (
                1_609_459_200,
                "Fri|Friday|Jan|January|Fri Jan  1 00:00:00 2021|20|01|01/01/21| 1|2021-01-01|20|2020|Jan|00|12|001| 0|12|01|00|AM|am|12:00:00 AM|00:00|1609459200|00|00:00:00|5|00|53|5|00|01/01/21|00:00:00|21|2021|+0000|%",
            ),
        ];
        for (seconds, want) in table {
            assert_eq!(at(all, seconds), want);
        }
        assert_eq!(
            at("%d/%b/%Y %H:%M:%S.%f %z %Z%%s %s", 1_754_037_103),
            "01/Aug/2025 08:31:43.037103 +0000 UTC%s 1754037103"
        );
        assert_eq!(at("%q%", 0), "%q%");
    }

    #[test]
    #[cfg(unix)]
    fn dates_own_program_says_the_same() {
        let format = "%a|%c|%C|%g|%G|%I|%j|%k|%l|%U|%V|%u|%w|%W|%D|%r";
        for step in 0..40i64 {
            let seconds = step * 77_777_777 - 900_000_000;
            let output = std::process::Command::new("date")
                .env("LC_ALL", "C")
                .args(["-u", "-d", &format!("@{seconds}"), &format!("+{format}")])
                .output();
            // Only GNU's takes @seconds.
            let Ok(output) = output else { return };
            if output.status.success() {
                assert_eq!(at(format, seconds), String::from_utf8_lossy(&output.stdout).trim_end());
            }
        }
    }
}
