from clasp_bench.models.moe.pc_moe import PCMoE, PCMoELayer, PCMoESwinBlock, Routing

__all__ = ["PCMoE", "PCMoELayer", "PCMoESwinBlock", "Routing"]
