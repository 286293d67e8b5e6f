//! Synthetic applications: the same arguments give the same files, on every machine.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::{Outcome, files};

/// Bytes of a file of a package, on average.
const MEAN_SIZE: u64 = 1500;

/// The large context: so many files of so many bytes on average.
const LARGE_FILES: usize = 10_000;
const LARGE_MEAN_SIZE: u64 = 20_000;

/// How large an application is to be.
#[derive(Debug, Clone, Args)]
pub(crate) struct Size {
    /// Packages, each with one image.
    #[arg(long, default_value_t = 1000)]
    pub(crate) packages: usize,
    /// Files of each package, besides its definitions.
    #[arg(long, default_value_t = 100)]
    pub(crate) files: usize,
    /// Decides content, sizes and folders.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Written {
    pub(crate) files: usize,
    pub(crate) bytes: u64,
}

/// Writes an application of many packages.
pub(crate) fn application(size: &Size, folder: &Path) -> Outcome<Written> {
    let mut writer = Writer::new(folder, size.seed)?;
    writer.definition("api/index.js", "module.exports = { name: 'synthetic' };\n")?;
    for number in 0..size.packages {
        let name = package(number);
        let package = PathBuf::from("api").join(&name);
        let index = format!(
            "module.exports = {{ name: '{name}', shortname: 'p{number}', description: '{name}' }};\n"
        );
        writer.definition(package.join("index.js"), &index)?;
        let tag = format!("synthetic-{number:04}");
        writer.image(&package, &tag)?;
        for file in 0..size.files {
            let path = package.join(writer.random.folder()).join(format!("file{file:03}.js"));
            let bytes = writer.random.size(MEAN_SIZE);
            writer.content(&path, bytes)?;
        }
    }
    Ok(writer.written)
}

/// Name and folder of a package.
pub(crate) fn package(number: usize) -> String {
    format!("Package{number:04}")
}

/// Writes an application with one image whose context is large.
pub(crate) fn large(seed: u64, folder: &Path) -> Outcome<Written> {
    let mut writer = Writer::new(folder, seed)?;
    writer.definition("api/index.js", "module.exports = { name: 'large' };\n")?;
    let package = Path::new("api/Large");
    writer.definition(package.join("index.js"), "module.exports = { name: 'Large' };\n")?;
    writer.image(package, "synthetic-large")?;
    for file in 0..LARGE_FILES {
        let path = package.join(format!("data/{:02}/file{file:05}.bin", file % 100));
        let bytes = writer.random.size(LARGE_MEAN_SIZE);
        writer.content(&path, bytes)?;
    }
    Ok(writer.written)
}

struct Writer<'a> {
    folder: &'a Path,
    random: Random,
    written: Written,
}

impl<'a> Writer<'a> {
    fn new(folder: &'a Path, seed: u64) -> Outcome<Self> {
        if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(format!("{} is not empty", folder.display()).into());
        }
        Ok(Self { folder, random: Random(seed), written: Written::default() })
    }

    /// Writes the image of a package: a context that is the whole package, copied onto nothing.
    fn image(&mut self, package: &Path, tag: &str) -> Outcome {
        let build = format!(
            "module.exports = {{\n  image: {{ dir: '..', file: 'Dockerfile', tag: '{tag}' }},\n}};\n"
        );
        self.definition(package.join("deploy/build.js"), &build)?;
        self.definition(package.join("deploy/Dockerfile"), "FROM scratch\nCOPY . /package/\n")
    }

    fn definition(&mut self, path: impl AsRef<Path>, text: &str) -> Outcome {
        self.write(path.as_ref(), text.as_bytes())
    }

    fn content(&mut self, path: &Path, bytes: u64) -> Outcome {
        let content = self.random.content(bytes);
        self.write(path, &content)
    }

    fn write(&mut self, path: &Path, content: &[u8]) -> Outcome {
        files::write(&self.folder.join(path), content)?;
        self.written.files += 1;
        self.written.bytes += content.len() as u64;
        Ok(())
    }
}

/// The `SplitMix64` generator: a few lines that give the same numbers for ever, which no library promises.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A size of `mean` on average: most files are small and a few are large, as in real trees.
    fn size(&mut self, mean: u64) -> u64 {
        // The product of two even distributions has a quarter of their limits' product as mean.
        let draw = (self.next() >> 32) * (self.next() >> 32);
        u64::try_from((u128::from(draw) * u128::from(mean) * 4) >> 64).unwrap_or(mean)
    }

    /// A folder at most two levels deep.
    fn folder(&mut self) -> PathBuf {
        let names = ["models", "lib", "lib/util", "handlers", "handlers/events", "interface", ""];
        let index = usize::try_from(self.next() % names.len() as u64).unwrap_or(0);
        names.get(index).copied().unwrap_or("").into()
    }

    /// Lines of hexadecimal digits: they compress about as well as sources do.
    fn content(&mut self, bytes: u64) -> Vec<u8> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let mut content = Vec::with_capacity(bytes + 20);
        while content.len() < bytes {
            content.extend_from_slice(format!("// {:016x}\n", self.next()).as_bytes());
        }
        content.truncate(bytes);
        content
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Size = Size { packages: 3, files: 20, seed: 7 };

    fn content(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        walkdir::WalkDir::new(folder)
            .sort_by_file_name()
            .into_iter()
            .map(Result::unwrap)
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| {
                let path = entry.path().strip_prefix(folder).unwrap().to_owned();
                (path, fs::read(entry.path()).unwrap())
            })
            .collect()
    }

    #[test]
    fn the_seed_decides_everything() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two, other] = ["one", "two", "other"].map(|name| folder.path().join(name));
        let written = application(&SMALL, &one).unwrap();
        assert_eq!(application(&SMALL, &two).unwrap(), written);
        application(&Size { seed: 8, ..SMALL }, &other).unwrap();
        assert_eq!(content(&one), content(&two));
        assert_ne!(content(&one), content(&other));
        assert_eq!(written.files, content(&one).len());
        assert_eq!(written.files, 1 + 3 * (3 + 20));
    }

    #[test]
    fn nothing_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        files::write(&folder.path().join("mine"), b"mine").unwrap();
        assert!(application(&SMALL, folder.path()).is_err());
        assert_eq!(content(folder.path()).len(), 1);
    }

    #[test]
    fn sizes_vary_about_their_mean() {
        let mut random = Random(1);
        let sizes: Vec<u64> = (0..10_000).map(|_| random.size(MEAN_SIZE)).collect();
        let mean = sizes.iter().sum::<u64>() / sizes.len() as u64;
        assert!((MEAN_SIZE * 9 / 10..MEAN_SIZE * 11 / 10).contains(&mean), "{mean}");
        assert!(sizes.iter().any(|size| *size > 2 * MEAN_SIZE));
        assert!(sizes.iter().any(|size| *size < MEAN_SIZE / 10));
    }
}
