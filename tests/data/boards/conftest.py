"""The whole table, and small copies of the data set in its published forms."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, Image

from vlm_eval.data.boards.export import export_benchmark
from vlm_eval.data.boards.instances import instances


@pytest.fixture(scope="session")
def table() -> pd.DataFrame:
    """All 115,200 rows."""
    return pd.DataFrame(instances())


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first three states of each game, written by the exporter; not to be changed."""
    out = tmp_path_factory.mktemp("small") / "vlm-fix"
    export_benchmark(out, states=3)
    return out


@pytest.fixture
def hub_form(written: Path, tmp_path: Path) -> Path:
    """A folder that `datasets` loads like the published hub data set."""
    rows = pq.read_table(written / "instances.parquet").to_pandas()
    rows["image_rel_path"] = rows.pop("image_path")
    state = rows["state_id"].map("{:03d}".format)
    rows["image_key"] = rows["game"] + "__" + rows["render_variant"] + "__" + state
    config = tmp_path / "hub" / "vlm_fix"
    config.mkdir(parents=True)
    rows.to_parquet(config / "main.parquet", index=False)
    columns = ["image_key", "game", "state_id", "render_variant", "image_rel_path"]
    records = rows[columns].drop_duplicates().to_dict("records")
    for record in records:
        data = (written / record["image_rel_path"]).read_bytes()
        record["image"] = {"bytes": data, "path": record["image_rel_path"]}
    images = Dataset.from_list(records).cast_column("image", Image())
    images.to_parquet(str(config / "images.parquet"))
    splits = [{"split": s, "path": f"vlm_fix/{s}.parquet"} for s in ("main", "images")]
    front = json.dumps({"configs": [{"config_name": "vlm_fix", "data_files": splits}]})
    (tmp_path / "hub" / "README.md").write_text(f"---\n{front}\n---\n")
    return tmp_path / "hub"
