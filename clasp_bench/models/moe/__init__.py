from clasp_bench.models.moe.pc_moe import PCMoE, PCMoELayer, Routing

__all__ = ["PCMoE", "PCMoELayer", "Routing"]
