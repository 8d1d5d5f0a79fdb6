"""What `import metaxy_core` gives, and what it does not bring along."""

import subprocess
import sys

import metaxy_core


def test_every_public_name_is_there_and_the_list_is_sorted_by_kind():
    assert all(hasattr(metaxy_core, name) for name in metaxy_core.__all__)
    assert len(set(metaxy_core.__all__)) == len(metaxy_core.__all__)


def test_importing_the_core_imports_no_engine():
    engines = "{'polars', 'ibis', 'duckdb', 'pyarrow', 'sqlglot', 'pandas', 'dagster', 'rich'}"
    code = f"import sys, metaxy_core; print(sorted({engines} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
