"""Qt views: they take values, emit signals and know nothing of napari's viewer."""
