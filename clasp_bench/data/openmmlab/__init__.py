"""OpenMMLab's data sets opened by root and split. Each module imports one of its libraries, so name the module you need."""
