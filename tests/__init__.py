import gc

gc.disable()  # collections would take a third of the time of the imports; `tests.conftest` enables them again
