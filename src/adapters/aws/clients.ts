/** The clients of AWS's own SDK, by what they speak to: each a package that is loaded where it is used. */
export const ec2 = {
  name: '@aws-sdk/client-ec2',
  load: async (settings: object) => new (await import('@aws-sdk/client-ec2')).EC2(settings),
};

export const scaling = {
  name: '@aws-sdk/client-auto-scaling',
  load: async (settings: object) => new (await import('@aws-sdk/client-auto-scaling')).AutoScaling(settings),
};

export const elasticBeanstalk = {
  name: '@aws-sdk/client-elastic-beanstalk',
  load: async (settings: object) =>
    new (await import('@aws-sdk/client-elastic-beanstalk')).ElasticBeanstalk(settings),
};

/** Application and network load balancers. */
export const elbv2 = {
  name: '@aws-sdk/client-elastic-load-balancing-v2',
  load: async (settings: object) =>
    new (await import('@aws-sdk/client-elastic-load-balancing-v2')).ElasticLoadBalancingV2(settings),
};

/** Classic load balancers. */
export const classicElb = {
  name: '@aws-sdk/client-elastic-load-balancing',
  load: async (settings: object) =>
    new (await import('@aws-sdk/client-elastic-load-balancing')).ElasticLoadBalancing(settings),
};
