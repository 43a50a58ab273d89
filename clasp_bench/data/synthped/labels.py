"""Numbers of LIP's classes that the renderer paints, and of what LIP has no class for."""

from clasp_bench.data.label_sets import LIP_CLASSES

HAT, HAIR, GLOVE, GLASSES, UPPER, DRESS, COAT, SOCKS, PANTS, SCARF, SKIRT, FACE = 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13
LEFT_ARM, RIGHT_ARM, LEFT_LEG, RIGHT_LEG, LEFT_SHOE, RIGHT_SHOE = 14, 15, 16, 17, 18, 19

# LIP has no class for what people carry: these labels exist inside the renderer and are background in LIP masks.
HANDBAG, SHOULDER_BAG, BACKPACK, HELD = 20, 21, 22, 23
LABELS = (*LIP_CLASSES, "HandBag", "ShoulderBag", "Backpack", "HeldObject")
