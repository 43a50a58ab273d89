from clasp_bench.cli import main

main()
