import numpy as np
def flatten(bands, coefficients, n_low):
    P={k:bands.power(v) for k,v in coefficients.items()}
    c=1-P["difference"]/P["average"] if "difference" in P else np.ones(bands.n_bands)
    k=np.arange(bands.n_bands); use=(k>=n_low)&(c>.3)&(P["reference"]>1e-6*P["reference"].max()*0)&(k<bands.n_bands-1)
    if use.sum()<2: return
    y=.5*np.log(P["reference"][use]/(P["average"][use]*c[use])); t2=(k[use]+.5)**2
    slope=np.polyfit(t2,y,1)[0]
    print("slope B", slope*4*bands.window**2)
    f=np.exp(np.float32(slope)*np.minimum(bands.position,bands.n_bands)**2)
    for n in ("average","difference"):
        if n in coefficients: coefficients[n]*=f
