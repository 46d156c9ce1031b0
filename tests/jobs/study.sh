# A study of settings over benchmarks and seeds, in an empty folder.
set -euo pipefail
cat > sweep.json <<'END'
{"grid": {"training.epsilon": [0.05, 0.2], "task.dataset": ["Nguyen-1", "Nguyen-5"]}}
END
dso init study.json
dso run study.json --sweep sweep.json --runs 2 --n-cores-task 2 --n-samples 2000 \
    --set training.batch_size=500 --exp-name study
dso resume logs/study | grep "8 run(s) are done, 0 to do."
dso eval logs/study | grep -c "epsilon=" | grep 4
dso report logs/study --out study.html
if dso run study.json --exp-name study/000_epsilon=0.05,dataset=Nguyen-1 2> said; then exit 1; fi
grep "has results of seed 0 already" said
python - <<'END'
import csv

with open("logs/study/summary.csv", newline="") as file:
    rows = list(csv.DictReader(file))
assert len({(row["training.epsilon"], row["task.dataset"], row["seed"]) for row in rows}) == 8
END
