use clap::Parser as _;

use super::*;
use crate::settings::Arguments;

#[derive(Default)]
struct Read(Vec<(i64, Entry)>);

impl Reader for Read {
    fn take(&mut self, market_ns: i64, entry: &Entry) -> Result<(), StartError> {
        self.0.push((market_ns, entry.clone()));
        Ok(())
    }
}

fn genesis() -> Genesis {
    let arguments = Arguments::parse_from(["exchange", "--lockstep"]);
    arguments.genesis(vec!["BTCUSDT".into()], std::collections::BTreeMap::new(), None, 0).unwrap()
}

fn tick(number: u64) -> Entry {
    Entry { outputs_before: number, command: Command::Tick }
}

/// Files that are full are followed by others and archived, and a start reads all of them as one.
#[test]
fn full_files_are_archived_and_read_as_one() {
    let path = std::env::temp_dir().join(format!("sapphire-exchange-files-{}", std::process::id()));
    let folder = Folder::hold(&path).unwrap();
    let mut journal = folder.begin_with(&Kept::default(), &genesis(), 7_000_000_000, 2_048).unwrap();
    journal.append(0, &Entry { outputs_before: 0, command: Command::Begin(genesis()) }).unwrap();
    for number in 1..=200 {
        journal.append(i64::try_from(number).unwrap(), &tick(number)).unwrap();
    }
    let marks = journal.watermarks().clone();
    let files = folder.files().unwrap();
    assert!(files.len() > 5, "{files:?}");
    assert!(marks.written() > 200, "{marks:?}");
    drop(journal);
    assert_eq!(marks.synced(), marks.written());
    let archive = sapphire_archive::archive_of(&files[0].1);
    assert!(archive.exists() && !files[0].1.exists(), "the first file is archived");

    let mut read = Read::default();
    let kept = folder.read(&mut read).unwrap();
    let ticks: Vec<_> = read.0.iter().filter(|(_, entry)| entry.command == Command::Tick).collect();
    assert_eq!(ticks.len(), 200);
    assert!(
        (1..=200).zip(&ticks).all(|(number, (market_ns, entry))| *entry == tick(number) && *market_ns == number as i64)
    );
    let resumes = read.0.iter().filter(|(_, entry)| matches!(entry.command, Command::Resume { .. })).count();
    assert_eq!(resumes + 1, files.len());
    assert_eq!(kept.last.map(|(epoch, _)| epoch), Some(7 + resumes as u64));

    // The next start archives what this one left plain, and goes on.
    let mut journal = folder.begin(&kept, &genesis(), 0).unwrap();
    let (epoch_before, records_before) = kept.last.unwrap();
    let command = Command::Resume { epoch_before, records_before };
    journal.append(201, &Entry { outputs_before: 201, command }).unwrap();
    let last = &files.last().unwrap().1;
    let began = std::time::Instant::now();
    while last.exists() {
        assert!(began.elapsed().as_secs() < 20, "{} stays plain", last.display());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    drop(journal);
    let mut again = Read::default();
    folder.read(&mut again).unwrap();
    assert_eq!(again.0[..read.0.len()], read.0[..]);
    fs::remove_dir_all(&path).unwrap();
}
