"""The label sets SynthPed writes: PA-100K's 26 attributes and LIP's 20 classes, in their official order."""

# Liu et al., "HydraPlus-Net", ICCV 2017; names as in the official annotation.mat.
ATTRIBUTES = (
    "Female", "AgeOver60", "Age18-60", "AgeLess18", "Front", "Side", "Back", "Hat", "Glasses", "HandBag", "ShoulderBag",
    "Backpack", "HoldObjectsInFront", "ShortSleeve", "LongSleeve", "UpperStride", "UpperLogo", "UpperPlaid",
    "UpperSplice", "LowerStripe", "LowerPattern", "LongCoat", "Trousers", "Shorts", "Skirt&Dress", "boots",
)  # fmt: skip

# Gong et al., "Look into Person", CVPR 2017. Left and right are the person's own.
LIP_CLASSES = (
    "Background", "Hat", "Hair", "Glove", "Sunglasses", "UpperClothes", "Dress", "Coat", "Socks", "Pants", "Jumpsuits",
    "Scarf", "Skirt", "Face", "Left-arm", "Right-arm", "Left-leg", "Right-leg", "Left-shoe", "Right-shoe",
)  # fmt: skip

HAT, HAIR, GLOVE, GLASSES, UPPER, DRESS, COAT, SOCKS, PANTS, SCARF, SKIRT, FACE = 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13
LEFT_ARM, RIGHT_ARM, LEFT_LEG, RIGHT_LEG, LEFT_SHOE, RIGHT_SHOE = 14, 15, 16, 17, 18, 19

# LIP has no class for what people carry: these labels exist inside the renderer and are background in LIP masks.
HANDBAG, SHOULDER_BAG, BACKPACK, HELD = 20, 21, 22, 23
LABELS = (*LIP_CLASSES, "HandBag", "ShoulderBag", "Backpack", "HeldObject")
