from tests.faults.hostile import main

main()
